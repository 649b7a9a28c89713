package server_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/signet/keys/keystest"
)

// wrongAudience is the one failure that is named, once the client has proved who it is.
const wrongAudience = "the audience of the client assertion must be " + issuer + " alone"

func (c *checklist) assertionType(t *testing.T) {
	e := c.edge(t)
	const wrong = "client_assertion_type is missing or not " + urn
	rows := []struct{ name, value string }{
		{"absent", ""},
		{"SAML", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
		{"the grant's", "urn:ietf:params:oauth:grant-type:jwt-bearer"},
		{"upper case", strings.ToUpper(urn)},
		{"one letter of another case", "URN" + urn[3:]},
		{"a space behind", urn + " "},
		{"a line break behind", urn + "\n"},
		{"NUL behind", urn + "\x00"},
		{"cut off", urn[:len(urn)-1]},
		{"two", urn + " " + urn},
		{"short", "jwt-bearer"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			a := e.ask(t, form("client_assertion_type", row.value, "client_assertion", forgeAssertion(e.claims())))
			checkRefused(t, a, 400, "invalid_request", wrong)
		})
	}
	t.Run("exactly", func(t *testing.T) { grantedToken(t, e.askAssertion(t, forgeAssertion(e.claims()))) })
}

func (c *checklist) assertionClient(t *testing.T) {
	e := c.edge(t)
	rows := []struct {
		name     string
		iss, sub string // JSON; "" is absent
		clientID string
	}{
		{"another iss", `"rsa"`, `"robot"`, ""},
		{"another sub", `"robot"`, `"rsa"`, ""},
		{"no iss", "", `"robot"`, ""},
		{"no sub", `"robot"`, "", ""},
		{"neither", "", "", ""},
		{"neither, and a client_id", "", "", "robot"},
		{"both empty", `""`, `""`, ""},
		{"both null", `null`, `null`, ""},
		{"a number", `1`, `1`, ""},
		{"arrays", `["robot"]`, `["robot"]`, ""},
		{"another client", `"rsa"`, `"rsa"`, ""},
		{"another client with the same key, disabled", `"disabled"`, `"disabled"`, ""},
		{"a client without keys", `"billing"`, `"billing"`, ""},
		{"an unknown client", `"nobody"`, `"nobody"`, ""},
		{"in another case", `"Robot"`, `"Robot"`, ""},
		{"a space behind", `"robot "`, `"robot "`, ""},
		{"NUL behind", `"robot\u0000"`, `"robot\u0000"`, ""},
		{"our identifier", strconv.Quote(issuer), strconv.Quote(issuer), ""},
		{"another client_id", `"robot"`, `"robot"`, "both"},
		{"client_id in another case", `"robot"`, `"robot"`, "ROBOT"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			claims := e.claims().With("iss", row.iss).With("sub", row.sub)
			for name, value := range map[string]string{"iss": row.iss, "sub": row.sub} {
				if value == "" {
					claims = claims.Without(name)
				}
			}
			checkRefused(t, e.askAssertion(t, forgeAssertion(claims), "client_id", row.clientID), 401, "invalid_client",
				failed)
		})
	}
	t.Run("the same client_id", func(t *testing.T) {
		claims, _ := grantedToken(t, e.askAssertion(t, forgeAssertion(e.claims()), "client_id", "robot"))
		if claims["sub"] != "robot" {
			t.Errorf("claims %v", claims)
		}
	})
	t.Run("spelled with escapes", func(t *testing.T) {
		grantedToken(t, e.askAssertion(t, forgeAssertion(e.claims().With("iss", `"\u0072obot"`))))
	})
}

func (c *checklist) assertionAudience(t *testing.T) {
	e := c.edge(t)
	quoted := strconv.Quote(issuer)
	rows := []struct{ name, aud string }{
		{"the token endpoint", strconv.Quote(issuer + "/oauth2/token")},
		{"us and the token endpoint", "[" + quoted + "," + strconv.Quote(issuer+"/oauth2/token") + "]"},
		{"us and another", "[" + quoted + `,"https://other.example.com"]`},
		{"another and us", `["https://other.example.com",` + quoted + "]"},
		{"us twice", "[" + quoted + "," + quoted + "]"},
		{"another", `"https://other.example.com"`},
		{"a resource of ours", strconv.Quote(api)},
		{"the metadata", strconv.Quote(issuer + "/.well-known/oauth-authorization-server")},
		{"a slash behind", strconv.Quote(issuer + "/")},
		{"the default port", strconv.Quote(issuer + ":443")},
		{"a host in capitals", `"https://ISSUER.example.com"`},
		{"http", strconv.Quote("http" + strings.TrimPrefix(issuer, "https"))},
		{"a space behind", strconv.Quote(issuer + " ")},
		{"with an escape that a URL may have", `"https://issuer%2Eexample.com"`},
		{"a fragment", strconv.Quote(issuer + "#")},
		{"empty", `""`},
		{"absent", ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			claims := e.claims().With("aud", row.aud)
			if row.aud == "" {
				claims = claims.Without("aud")
			}
			checkRefused(t, e.askAssertion(t, forgeAssertion(claims)), 401, "invalid_client", wrongAudience)
		})
	}
	for _, aud := range []string{"[]", "[null]", "null", "1", "{}", "[[" + quoted + "]]", "[" + quoted + ",1]",
		`{"` + issuer + `":1}`} {
		t.Run("no audience at all: "+aud, func(t *testing.T) {
			checkRefused(t, e.askAssertion(t, forgeAssertion(e.claims().With("aud", aud))), 401, "invalid_client",
				failed)
		})
	}
	for _, aud := range []string{quoted, "[" + quoted + "]", `"https:\/\/issuer.example.com"`} {
		t.Run("us: "+aud, func(t *testing.T) {
			grantedToken(t, e.askAssertion(t, forgeAssertion(e.claims().With("aud", aud))))
		})
	}
}

func (c *checklist) assertionHeaderType(t *testing.T) {
	e := c.edge(t)
	ask := func(t *testing.T, header keystest.Object) answer {
		return e.askAssertion(t, keystest.Forge(keystest.ES256Other, header.String(), e.claims().String()))
	}
	header := assertionHeader(keystest.ES256Other)
	t.Run("absent", func(t *testing.T) { grantedToken(t, ask(t, header.Without("typ"))) })
	// A media type's case does not count, nor whether "application/" is written (RFC 7515 §4.1.9).
	for _, typ := range []string{
		"client-authentication+jwt", "Client-Authentication+JWT", "application/client-authentication+jwt", "JWT", "jwt",
		"application/jwt",
	} {
		t.Run("accepted "+typ, func(t *testing.T) { grantedToken(t, ask(t, header.With("typ", strconv.Quote(typ)))) })
	}
	for _, typ := range []string{
		`"at+jwt"`, `"application/at+jwt"`, `"dpop+jwt"`, `"logout+jwt"`, `"secevent+jwt"`, `"oauth-authz-req+jwt"`,
		`"jwt "`, `"JWS"`,
		`"jose"`, `"text/jwt"`, `"client-authentication"`, `"client-authentication+jwt\u0000"`, `1`, `["JWT"]`,
	} {
		t.Run("refused "+typ, func(t *testing.T) {
			checkRefused(t, ask(t, header.With("typ", typ)), 401, "invalid_client", failed)
		})
	}
}

func (c *checklist) assertionTimes(t *testing.T) {
	e := c.edge(t)
	at := func(seconds int) string { // from now, beyond the leeway
		if seconds < 0 {
			return strconv.FormatInt(e.clock.Now().Add(-leeway).Unix()+int64(seconds), 10)
		}
		return strconv.FormatInt(e.clock.Now().Add(leeway).Unix()+int64(seconds), 10)
	}
	exact := func(d time.Duration) string { return strconv.FormatInt(e.clock.Now().Add(d).Unix(), 10) }
	accepted := []struct{ name, claim, value string }{
		{"exp 5 minutes ahead", "exp", at(300)},
		{"exp just past, within the leeway", "exp", exact(-leeway + time.Second)},
		{"exp with a fraction", "exp", exact(time.Minute) + ".25"},
		{"exp with an exponent", "exp", exact(time.Minute) + "e0"},
		{"nbf now", "nbf", exact(0)},
		{"nbf within the leeway", "nbf", at(0)},
		{"nbf long ago", "nbf", "1"},
		{"iat within the leeway", "iat", at(0)},
		{"iat absent", "iat", ""},
	}
	for _, row := range accepted {
		t.Run("accepted "+row.name, func(t *testing.T) {
			grantedToken(t, e.askAssertion(t, forgeAssertion(e.changed(row.claim, row.value))))
		})
	}
	refused := []struct{ name, claim, value string }{
		{"no exp", "exp", ""},
		{"exp now, less the leeway", "exp", exact(-leeway)},
		{"exp past", "exp", at(-1)},
		{"exp long past", "exp", "1"},
		{"exp a second too far ahead", "exp", at(301)},
		{"exp a fraction too far ahead", "exp", at(300) + ".5"},
		{"exp a day ahead", "exp", exact(24 * time.Hour)},
		{"exp in milliseconds", "exp", exact(time.Minute) + "000"},
		{"exp 0, which is not never", "exp", "0"},
		{"exp negative", "exp", "-1"},
		{"exp in text", "exp", strconv.Quote(exact(time.Minute))},
		{"exp null", "exp", "null"},
		{"exp true", "exp", "true"},
		{"exp beyond the year 9999", "exp", "253402300800"},
		{"exp 2^64 and a minute", "exp", "18446744073709551676"},
		{"exp 1e400", "exp", "1e400"},
		{"exp 1e-400", "exp", "1e-400"},
		{"exp NaN", "exp", "NaN"},
		{"exp hexadecimal", "exp", "0x7fffffff"},
		{"nbf in the future", "nbf", at(1)},
		{"nbf in text", "nbf", strconv.Quote(exact(0))},
		{"nbf null", "nbf", "null"},
		{"nbf 0", "nbf", "0"},
		{"iat in the future", "iat", at(1)},
		{"iat in text", "iat", strconv.Quote(exact(0))},
	}
	for _, row := range refused {
		t.Run("refused "+row.name, func(t *testing.T) {
			checkRefused(t, e.askAssertion(t, forgeAssertion(e.changed(row.claim, row.value))), 401, "invalid_client",
				failed)
		})
	}
}

// changed are good claims but for one, which is absent when its value is "".
func (e *edge) changed(name, value string) keystest.Object {
	if value == "" {
		return e.claims().Without(name)
	}
	return e.claims().With(name, value)
}

func (c *checklist) assertionSpent(t *testing.T) {
	e := c.edge(t)
	first := e.claims()
	grantedToken(t, e.askAssertion(t, forgeAssertion(first)))
	again := func(name string, claims keystest.Object) {
		t.Run(name, func(t *testing.T) {
			checkRefused(t, e.askAssertion(t, forgeAssertion(claims)), 401, "invalid_client", failed)
		})
	}
	again("the same again", first)
	again("with another exp", first.With("exp", strconv.FormatInt(e.clock.Now().Unix()+200, 10)))
	again("with another claim", first.With("nonsense", "1"))
	again("spelled with an escape", first.With("jti", `"\u0061ssertion-1"`))
	e.clock.Advance(time.Minute + leeway - time.Nanosecond)
	again("at the last moment", first)
	e.clock.Advance(time.Nanosecond)
	again("when it has expired", first)
	for _, jti := range []string{"", `""`, "null", "7", `["a"]`, strconv.Quote(strings.Repeat("j", 257))} {
		again(fmt.Sprintf("jti %.10s", jti), e.changed("jti", jti))
	}
	t.Run("another client's jti is its own", func(t *testing.T) {
		claims := e.claims().With("jti", `"shared"`)
		grantedToken(t, e.askAssertion(t, forgeAssertion(claims)))
		grantedToken(t, e.askAssertion(t, forgeAssertion(claims.With("iss", `"both"`).With("sub", `"both"`))))
	})
	t.Run("an assertion that is refused is not spent", func(t *testing.T) {
		claims := e.claims()
		checkRefused(t, e.askAssertion(t, forgeAssertion(claims.With("aud", `"x"`))), 401, "invalid_client",
			wrongAudience)
		checkRefused(t, e.askAssertion(t, keystest.Forge(keystest.ES256, assertionHeader(keystest.ES256Other).String(),
			claims.String())), 401, "invalid_client", failed)
		grantedToken(t, e.askAssertion(t, forgeAssertion(claims)))
	})
	t.Run("of many at once one is good", func(t *testing.T) {
		assertion := forgeAssertion(e.claims())
		good := make(chan bool)
		for range 20 {
			go func() {
				a := e.post(t, form("client_assertion_type", urn, "client_assertion", assertion))
				good <- a.StatusCode == 200
			}()
		}
		count := 0
		for range 20 {
			if <-good {
				count++
			}
		}
		if count != 1 {
			t.Errorf("%d tokens", count)
		}
	})
}
