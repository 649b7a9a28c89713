package bearer_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// cutToken returns the three segments of a token.
func cutToken(token string) (header, payload, signature string) {
	parts := strings.Split(token, ".")
	return parts[0], parts[1], parts[2]
}

// statements are in the order of their numbers. The text is short; the sections are those of the RFCs that it comes from.
var statements = []statement{
	{"V01", "compact form of three segments only (RFC 7515 §3.1)", func(c *checklist, t *testing.T) {
		h, p, s := cutToken(c.genuine())
		c.refuse(t, verify.ErrMalformed, h, h+"."+p, h+"."+p+"."+s+".", h+"."+p+"."+s+"."+s, "..",
			`{"payload":"`+p+`","protected":"`+h+`","signature":"`+s+`"}`,
			`{"payload":"`+p+`","signatures":[{"protected":"`+h+`","signature":"`+s+`"}]}`)
	}},
	{"V02", "strict base64url (RFC 7515 §2)", func(c *checklist, t *testing.T) {
		h, p, s := cutToken(c.genuine())
		for _, spelling := range []string{p + "=", p[:4] + " " + p[4:], p[:4] + "\t" + p[4:], p[:4] + "+" + p[5:],
			p[:4] + "/" + p[5:], p[:4] + "%41" + p[5:]} {
			c.refuse(t, verify.ErrMalformed, h+"."+spelling+"."+s)
		}
		c.refuse(t, verify.ErrMalformed, h+"=."+p+"."+s, h+"."+p+"."+s+"==")
	}},
	{"V03", "no unused bits", func(c *checklist, t *testing.T) {
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		token := c.genuine() // 64 octets of signature leave four bits of the last letter unused
		last := strings.IndexByte(alphabet, token[len(token)-1])
		c.refuse(t, verify.ErrMalformed, token[:len(token)-1]+alphabet[last+1:last+2])
	}},
	{"V04", "the header is one JSON object in UTF-8 and nothing more", func(c *checklist, t *testing.T) {
		for _, text := range []string{"", "null", "[]", `"x"`, c.header.String() + " ", c.header.String() + "x",
			c.header.With("x", "\"\xff\"").String(), c.header.String()[1:]} {
			c.refuse(t, verify.ErrMalformed, keystest.Forge(keystest.ES256, text, c.claims.String()))
		}
	}},
	{"V05", "no name twice (RFC 7515 §4, RFC 7519 §4)", func(c *checklist, t *testing.T) {
		c.refuse(t, verify.ErrMalformed, c.forge(c.header.Twice("alg", `"ES256"`), c.claims),
			c.forge(c.header.Twice("x", "1").Twice("x", "1"), c.claims))
		c.refuse(t, verify.ErrClaims, c.forge(c.header, c.claims.Twice("sub", `"admin"`)),
			c.forge(c.header, c.claims.Twice("exp", "2000000000")))
	}},
	{"V06", "names compared exactly", func(c *checklist, t *testing.T) {
		c.refuse(t, verify.ErrAlgorithm, c.forge(c.header.Without("alg").With("ALG", `"ES256"`), c.claims))
		c.refuse(t, verify.ErrClaims, c.forge(c.header, c.claims.Without("exp").With("EXP", c.at(time.Minute))),
			c.forge(c.header, c.claims.With(`s\u0075b`, `"admin"`)))
	}},
	{"V07", "alg is one that we allow (RFC 8725 §3.1)", func(c *checklist, t *testing.T) {
		for _, alg := range []string{"ES384", "PS256", "EdDSA", "RS512", "es256", "ES256K", ""} {
			c.refuse(t, verify.ErrAlgorithm, c.head("alg", strconv.Quote(alg)))
		}
	}},
	{"V08", "alg is the key's (RFC 8725 §3.1)", func(c *checklist, t *testing.T) {
		header := keystest.AccessHeader(keystest.RS256).With("alg", `"ES256"`)
		c.refuse(t, verify.ErrAlgorithm, c.head("alg", `"RS256"`),
			keystest.Forge(keystest.RS256, header.String(), c.claims.String()))
	}},
	{"V09", "none, in any letter case (RFC 8725 §3.2)", func(c *checklist, t *testing.T) {
		for _, alg := range []string{"none", "None", "NONE", "nOnE"} {
			token := c.head("alg", strconv.Quote(alg))
			c.refuse(t, verify.ErrAlgorithm, token)
			c.refuse(t, verify.ErrMalformed, token[:strings.LastIndexByte(token, '.')+1]) // without signature
		}
	}},
	{"V10", "no HMAC, and no symmetric key from a set (RFC 8725 §2.1)", func(c *checklist, t *testing.T) {
		for _, alg := range []string{"HS256", "HS384", "HS512"} {
			c.refuse(t, verify.ErrAlgorithm, c.head("alg", strconv.Quote(alg)))
		}
		c.publish(`{"keys":[{"kty":"oct","alg":"ES256","kid":"s","k":"AAAA"}]}`)
		c.refuse(t, verify.ErrUnknownKey, c.head("kid", `"s"`))
		c.accept(t, c.genuine())
	}},
	{"V11", "any crit (RFC 7515 §4.1.11)", func(c *checklist, t *testing.T) {
		c.refuse(t, verify.ErrMalformed, c.head("crit", `["exp"]`), c.head("crit", "[]"), c.head("crit", `["b64"]`),
			c.head("crit", "null"))
	}},
	{"V12", "any b64 (RFC 7797 §7)", func(c *checklist, t *testing.T) {
		c.refuse(t, verify.ErrMalformed, c.head("b64", "false"), c.head("b64", "true"), c.head("b64", `"false"`))
	}},
	{"V13", "signatures and keys of the right size (RFC 7518 §3.3, §3.4)", func(c *checklist, t *testing.T) {
		h, p, s := cutToken(c.genuine())
		c.refuse(t, verify.ErrSignature, h+"."+p+"."+s[:84], h+"."+p+"."+s+"AAAA",
			keystest.Forge(keystest.WrongCurve, c.header.String(), c.claims.String()),
			keystest.Forge(keystest.WeakRSA, keystest.AccessHeader(keystest.RS256).String(), c.claims.String()))
	}},
	{"V14", "points are on the curve", func(c *checklist, t *testing.T) {
		zero := strings.Repeat("A", 43)
		c.publish(`{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","kid":"off","x":"` + zero + `","y":"` + zero + `"}]}`)
		c.refuse(t, verify.ErrUnknownKey, c.head("kid", `"off"`))
		c.accept(t, c.genuine())
	}},
	{"V15", "kid is only a name, and short (RFC 8725 §3.10)", func(c *checklist, t *testing.T) {
		c.refuse(t, verify.ErrUnknownKey, c.head("kid", `"../../dev/null"`), c.head("kid", `"' OR 1=1 --"`),
			c.head("kid", `"a\u0000b"`))
		c.refuse(t, verify.ErrMalformed, c.head("kid", strconv.Quote(strings.Repeat("k", 257))), c.head("kid", "1"),
			c.head("kid", `""`))
	}},
	{"V16", "jku, x5u, jwk and x5c are never used (RFC 8725 §3.10)", func(c *checklist, t *testing.T) {
		fetches := c.issuer.Fetches()
		for _, name := range []string{"jku", "x5u"} {
			header := c.header.With(name, strconv.Quote(c.issuer.URL+"/.well-known/jwks.json"))
			c.refuse(t, verify.ErrSignature, keystest.Forge(keystest.ES256Other, header.String(), c.claims.String()))
		}
		for name, value := range map[string]string{"jwk": `{"kty":"EC"}`, "x5c": `["AAAA"]`} {
			header := c.header.With(name, value)
			c.refuse(t, verify.ErrSignature, keystest.Forge(keystest.ES256Other, header.String(), c.claims.String()))
		}
		if c.issuer.Fetches() != fetches {
			t.Error("a token made the verifier fetch")
		}
	}},
	{"V17", "no JWE, no zip, at most 8 KiB", func(c *checklist, t *testing.T) {
		c.refuse(t, verify.ErrMalformed, "a.b.c.d.e", c.head("zip", `"DEF"`),
			c.with("x", strconv.Quote(strings.Repeat("x", 8<<10))))
	}},
	{"V18", "no token in a token (RFC 7519 §5.2)", func(c *checklist, t *testing.T) {
		c.refuse(t, verify.ErrClaims, keystest.Forge(keystest.ES256, c.header.With("cty", `"JWT"`).String(), c.genuine()))
	}},
	{"V19", "typ is at+jwt (RFC 9068 §4)", func(c *checklist, t *testing.T) {
		c.accept(t, c.head("typ", `"AT+JWT"`), c.head("typ", `"application/at+jwt"`))
		for _, typ := range []string{"JWT", "dpop+jwt", "client-authentication+jwt", "logout+jwt", "id_token", ""} {
			c.refuse(t, verify.ErrType, c.head("typ", strconv.Quote(typ)))
		}
		c.refuse(t, verify.ErrType, c.forge(c.header.Without("typ"), c.claims))
	}},
	{"V20", "iss is equal (RFC 9068 §4)", func(c *checklist, t *testing.T) {
		c.refuse(t, verify.ErrIssuer, c.with("iss", strconv.Quote(c.issuer.Issuer()+"/")),
			c.forge(c.header, c.claims.Without("iss")))
	}},
	{"V21", "the key is that issuer's (RFC 8725 §3.8)", func(c *checklist, t *testing.T) {
		c.refuse(t, verify.ErrSignature, keystest.Forge(keystest.ES256Other, c.header.String(), c.claims.String()))
		c.refuse(t, verify.ErrUnknownKey, keystest.AccessToken(keystest.ES256Other, c.claims))
	}},
	{"V22", "aud contains us (RFC 9068 §4)", func(c *checklist, t *testing.T) {
		c.accept(t, c.with("aud", `["https://a.example.com","`+keystest.Audience+`"]`))
		c.refuse(t, verify.ErrAudience, c.with("aud", `"https://a.example.com"`), c.with("aud", `["https://a.example.com"]`),
			c.forge(c.header, c.claims.Without("aud")))
	}},
	{"V23", "before exp (RFC 7519 §4.1.4)", func(c *checklist, t *testing.T) {
		c.accept(t, c.with("exp", c.at(time.Second)))
		c.refuse(t, verify.ErrExpired, c.with("exp", c.at(0)), c.with("exp", c.at(-time.Hour)))
		c.refuse(t, verify.ErrClaims, c.forge(c.header, c.claims.Without("exp")))
	}},
	{"V24", "not before nbf (RFC 7519 §4.1.5)", func(c *checklist, t *testing.T) {
		c.accept(t, c.with("nbf", c.at(0)))
		c.refuse(t, verify.ErrNotYetValid, c.with("nbf", c.at(time.Second)))
	}},
	{"V25", "sub, client_id, jti and iat are there (RFC 9068 §2.2)", func(c *checklist, t *testing.T) {
		for _, name := range []string{"sub", "client_id", "jti", "iat"} {
			c.refuse(t, verify.ErrClaims, c.forge(c.header, c.claims.Without(name)), c.with(name, "[]"), c.with(name, "null"))
		}
	}},
	{"V26", "iat is not in the future", func(c *checklist, t *testing.T) {
		c.refuse(t, verify.ErrNotYetValid, c.with("iat", c.at(time.Second)))
	}},
	{"V27", "dates are numbers in range (RFC 7519 §2)", func(c *checklist, t *testing.T) {
		for _, value := range []string{`"2000000000"`, "0", "-1", "1e400", "253402300800", "NaN", "null", "[2000000000]"} {
			c.refuse(t, verify.ErrClaims, c.with("exp", value), c.with("iat", value), c.with("nbf", value))
		}
	}},
	{"V28", "scope values, in their letter case (RFC 6749 §3.3)", func(c *checklist, t *testing.T) {
		for scope, status := range map[string]int{
			"admin": 200, "a admin b": 200, "Admin": 403, "administrator": 403, `a\tadmin`: 403, "": 403,
		} {
			if resp := c.get(t, "/admin", "Token", c.with("scope", `"`+scope+`"`)); resp.StatusCode != status {
				t.Errorf("%q: %d, want %d", scope, resp.StatusCode, status)
			}
		}
	}},
	{"V29", "Bearer in any letter case (RFC 9110 §11.1)", func(c *checklist, t *testing.T) {
		for _, scheme := range []string{"Bearer", "bearer", "BEARER", "bEaReR"} {
			if resp := c.get(t, "/", "Authorization", scheme+" "+c.genuine()); resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %d", scheme, resp.StatusCode)
			}
		}
	}},
	{"V30", "one token in a request (RFC 6750 §2, §3.1)", func(c *checklist, t *testing.T) {
		token := c.genuine()
		for _, headers := range [][]string{
			{"Token", token, "Token", token}, {"Token", token, "Authorization", "Bearer " + token},
			{"Authorization", "Bearer " + token + ", Bearer " + token}, {"Authorization", "Bearer"},
		} {
			resp := c.get(t, "/", headers...)
			if resp.StatusCode != 400 || !strings.Contains(resp.Header.Get("WWW-Authenticate"), `error="invalid_request"`) {
				t.Errorf("%.20q…: %d", headers, resp.StatusCode)
			}
		}
	}},
	{"V31", "no token from the query (RFC 9700 §4.3.2)", func(c *checklist, t *testing.T) {
		resp := c.get(t, "/?access_token="+c.genuine()+"&token="+c.genuine())
		if challenge := resp.Header.Get("WWW-Authenticate"); resp.StatusCode != 401 || strings.Contains(challenge, "error") {
			t.Errorf("%d, %s", resp.StatusCode, challenge)
		}
	}},
	{"V32", "401 has a challenge (RFC 9110 §15.5.2)", func(c *checklist, t *testing.T) {
		for _, token := range []string{"x", c.genuine() + "x", c.with("exp", "1")} {
			resp := c.get(t, "/", "Token", token)
			if resp.StatusCode != 401 || !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Bearer ") {
				t.Errorf("%d, %v", resp.StatusCode, resp.Header)
			}
		}
	}},
	{"V33", "no error code where no token came (RFC 6750 §3.1)", func(c *checklist, t *testing.T) {
		for _, headers := range [][]string{nil, {"Authorization", "Basic Og=="}} {
			challenge := c.get(t, "/", headers...).Header.Get("WWW-Authenticate")
			if !strings.HasPrefix(challenge, "Bearer") || strings.Contains(challenge, "error") {
				t.Errorf("%v: %q", headers, challenge)
			}
		}
	}},
	{"V34", "one code for one status (RFC 6750 §3.1)", func(c *checklist, t *testing.T) {
		for _, row := range []struct {
			path, code string
			headers    []string
			status     int
		}{
			{"/", "invalid_token", []string{"Token", "x"}, 401},
			{"/", "invalid_request", []string{"Token", ""}, 400},
			{"/admin", `insufficient_scope`, []string{"Token", c.genuine()}, 403},
		} {
			resp := c.get(t, row.path, row.headers...)
			challenge := resp.Header.Get("WWW-Authenticate")
			if resp.StatusCode != row.status || !strings.Contains(challenge, `error="`+row.code+`"`) {
				t.Errorf("%s: %d, %s", row.code, resp.StatusCode, challenge)
			}
		}
	}},
	{"V35", "nothing of the request in the answer", func(c *checklist, t *testing.T) {
		resp := c.get(t, "/marker-path?marker-query", "Token", "marker-token", "X-Request-Id", "marker-id")
		if text := fmt.Sprint(resp.Header); strings.Contains(text, "marker") {
			t.Error(text)
		}
	}},
	{"V36", "the challenge names the metadata (RFC 9728 §5.1)", func(c *checklist, t *testing.T) {
		const want = `resource_metadata="https://orders.example.com/.well-known/oauth-protected-resource"`
		if challenge := c.get(t, "/").Header.Get("WWW-Authenticate"); !strings.Contains(challenge, want) {
			t.Error(challenge)
		}
		if resp := c.get(t, "/.well-known/oauth-protected-resource"); resp.StatusCode != http.StatusOK {
			t.Errorf("status %d", resp.StatusCode)
		}
	}},
	{"V37", "an unknown kid makes one fetch a cool-down", func(c *checklist, t *testing.T) {
		c.clock.Advance(time.Minute)
		before := c.issuer.Fetches()
		c.issuer.Publish(keystest.Set(keystest.ES256, keystest.ES256Other))
		c.accept(t, keystest.AccessToken(keystest.ES256Other, c.claims))
		for i := range 20 {
			c.refuse(t, verify.ErrUnknownKey, c.head("kid", strconv.Quote(fmt.Sprint("k", i))))
		}
		if n := c.issuer.Fetches() - before; n != 1 {
			t.Errorf("%d fetches", n)
		}
	}},
	{"V38", "a bad answer never replaces a good set", func(c *checklist, t *testing.T) {
		for _, answer := range []string{"", "<html>", `{"keys":[]}`, `{"keys":null}`} {
			c.publish(answer)
			c.refuse(t, verify.ErrUnknownKey, c.head("kid", `"x"`)) // makes it fetch
			c.accept(t, c.genuine())
		}
	}},
	{"V39", "no key for ever: 503, and bad tokens stay 401", func(c *checklist, t *testing.T) {
		c.issuer.Fail(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
		c.clock.Advance(2 * time.Hour)
		fresh := c.claims.With("exp", c.at(time.Minute)).With("iat", c.at(0))
		resp := c.get(t, "/", "Token", c.forge(c.header, fresh))
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" ||
			resp.Header.Get("WWW-Authenticate") != "" {
			t.Errorf("%d, %v", resp.StatusCode, resp.Header)
		}
		c.refuse(t, verify.ErrSignature, keystest.Forge(keystest.ES256Other, c.header.String(), fresh.String()))
		c.refuse(t, verify.ErrExpired, c.with("exp", "1"))
		c.refuse(t, verify.ErrMalformed, "x")
	}},
	{"V40", "keys come over https or loopback, from the origin that was asked", func(c *checklist, t *testing.T) {
		if _, err := verify.New(verify.Config{Issuer: "http://issuer.example.com", Audience: "x"}); err == nil {
			t.Error("an issuer over plain http")
		}
		elsewhere := keystest.NewServer(keystest.Set(keystest.ES256Other))
		t.Cleanup(elsewhere.Close)
		c.issuer.Fail(http.RedirectHandler(elsewhere.URL+"/.well-known/jwks.json", http.StatusFound).ServeHTTP)
		c.clock.Advance(time.Minute)
		c.refuse(t, verify.ErrUnknownKey, keystest.AccessToken(keystest.ES256Other, c.claims))
		if elsewhere.Fetches() != 0 {
			t.Error("the redirect was followed")
		}
	}},
	{"V41", "a token bound to a key is refused (RFC 7800)", func(c *checklist, t *testing.T) {
		c.refuse(t, verify.ErrConfirmation, c.with("cnf", `{"jkt":"x"}`), c.with("cnf", "{}"), c.with("cnf", "null"))
	}},
}
