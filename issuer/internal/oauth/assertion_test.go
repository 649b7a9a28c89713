package oauth_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/keys/keystest"
)

const (
	causeClaims   = "assertion: claims are not strict JSON of the right types"
	causeIssuer   = "assertion: iss, sub and client_id are not the same client"
	causeAudience = "assertion: aud is not the issuer alone"
	causeFuture   = "assertion: nbf or iat is in the future"
	causeTooLong  = "assertion: exp is more than 5 minutes ahead"
	causeExpired  = "assertion: expired"
	causeJTI      = "assertion: jti is missing or too long"
	causeReplayed = "assertion: jti was used before"
)

func TestAssertionAccepted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	now := f.clock.Now().Unix()
	const slack = int64(leeway / time.Second)
	rows := []struct {
		name   string
		change claims
	}{
		{"as Signet's own client writes it", nil},
		{"I23 aud an array of one", claims{"aud": []string{issuer}}},
		{"I25 no iat", claims{"iat": nil}},
		{"I25 nbf now", claims{"nbf": now}},
		{"I25 nbf and iat at the end of the leeway", claims{"nbf": now + slack, "iat": now + slack}},
		{"I25 exp as far ahead as may be", claims{"exp": now + 300 + slack}},
		{"I25 exp past, within the leeway", claims{"exp": now - slack + 1}},
		{"I25 exp with a fraction", claims{"exp": float64(now) + 0.5}},
		{"I26 longest jti", claims{"jti": strings.Repeat("j", 256)}},
		{"other claims are ignored", claims{"scope": "admin", "client_id": "rsa", "nonsense": map[string]any{"a": 1}}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if response := f.grant(t, withAssertion(f.assertion(t, row.change))); response.Record.ClientID != "jwt" {
				t.Errorf("token for %q", response.Record.ClientID)
			}
		})
	}
	headers := []struct{ name, header string }{
		{"I24 no typ", strings.Replace(header("ES256", keystest.ES256Other), `,"typ":"client-authentication+jwt"`, "", 1)},
		{"I24 typ JWT", strings.Replace(header("ES256", keystest.ES256Other), "client-authentication+jwt", "JWT", 1)},
		{"I24 typ in full", strings.Replace(header("ES256", keystest.ES256Other), "client-", "application/client-", 1)},
		{"I27 kid of the client's own making, a hint", strings.Replace(header("ES256", keystest.ES256Other), keystest.Key(keystest.ES256Other).ID(), "2026-key", 1)},
		{"I27 no kid", `{"alg":"ES256","typ":"JWT"}`},
		{"header with its own key, never read", strings.Replace(header("ES256", keystest.ES256Other), "{", `{"jku":"https://evil.example","jwk":{"kty":"EC"},`, 1)},
	}
	for _, row := range headers {
		t.Run(row.name, func(t *testing.T) {
			f.grant(t, withAssertion(keystest.Forge(keystest.ES256Other, row.header, f.payload(t, claims{"jti": row.name}))))
		})
	}
	t.Run("I22 client_id beside it, the same", func(t *testing.T) {
		f.grant(t, withAssertion(f.assertion(t, nil), "client_id", "jwt"))
	})
	t.Run("I27 RS256", func(t *testing.T) {
		payload := f.payload(t, claims{"iss": "rsa", "sub": "rsa"})
		response := f.grant(t, withAssertion(keystest.Forge(keystest.RS256Other, header("RS256", keystest.RS256Other), payload)))
		if response.Record.ClientID != "rsa" {
			t.Errorf("token for %q", response.Record.ClientID)
		}
	})
}

func TestAssertionClaimsRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	now := f.clock.Now().Unix()
	const slack = int64(leeway / time.Second)
	rows := []struct {
		name   string
		change claims
		cause  string
	}{
		{"I22 iss and sub differ", claims{"iss": "rsa"}, causeIssuer},
		{"I22 sub and iss differ", claims{"sub": "rsa"}, causeIssuer},
		{"I22 no iss", claims{"iss": nil}, causeIssuer},
		{"I22 no sub", claims{"sub": nil}, causeIssuer},
		{"I22 neither", claims{"iss": nil, "sub": nil}, causeIssuer},
		{"I22 both empty", claims{"iss": "", "sub": ""}, causeIssuer},
		{"I22 iss a number", claims{"iss": 1}, causeClaims},
		{"I22 iss in another case", claims{"iss": "JWT", "sub": "JWT"}, "unknown client"},
		{"I23 another audience", claims{"aud": "https://other.example.com"}, causeAudience},
		{"I23 the token endpoint", claims{"aud": issuer + "/oauth2/token"}, causeAudience},
		{"I23 a slash more", claims{"aud": issuer + "/"}, causeAudience},
		{"I23 another case", claims{"aud": "https://ISSUER.example.com"}, causeAudience},
		{"I23 the same URL with its port", claims{"aud": issuer + ":443"}, causeAudience},
		{"I23 us and another", claims{"aud": []string{issuer, "https://other.example.com"}}, causeAudience},
		{"I23 us twice", claims{"aud": []string{issuer, issuer}}, causeAudience},
		{"I23 us and the token endpoint", claims{"aud": []string{issuer, issuer + "/oauth2/token"}}, causeAudience},
		{"I23 no aud", claims{"aud": nil}, causeAudience},
		{"I23 empty array", claims{"aud": []string{}}, causeClaims},
		{"I23 array with a null", claims{"aud": []any{issuer, nil}}, causeClaims},
		{"I23 a number", claims{"aud": 1}, causeClaims},
		{"I23 an object", claims{"aud": map[string]any{issuer: true}}, causeClaims},
		{"I25 no exp", claims{"exp": nil}, "assertion: no exp"},
		{"I25 exp a string", claims{"exp": fmt.Sprint(now + 60)}, causeClaims},
		{"I25 exp 0, which is not never", claims{"exp": 0}, causeClaims},
		{"I25 exp negative", claims{"exp": -1}, causeClaims},
		{"I25 exp beyond the year 9999", claims{"exp": 253402300800}, causeClaims},
		{"I25 exp at the end of the leeway", claims{"exp": now - slack}, causeExpired},
		{"I25 exp long past", claims{"exp": 1}, causeExpired},
		{"I25 exp a second too far ahead", claims{"exp": now + 300 + slack + 1}, causeTooLong},
		{"I25 exp a fraction too far ahead", claims{"exp": float64(now+300+slack) + 0.5}, causeTooLong},
		{"I25 nbf in the future", claims{"nbf": now + slack + 1}, causeFuture},
		{"I25 iat in the future", claims{"iat": now + slack + 1}, causeFuture},
		{"I25 nbf a string", claims{"nbf": "0"}, causeClaims},
		{"I25 iat a string", claims{"iat": fmt.Sprint(now)}, causeClaims},
		{"I26 no jti", claims{"jti": nil}, causeJTI},
		{"I26 jti empty", claims{"jti": ""}, causeJTI},
		{"I26 jti too long", claims{"jti": strings.Repeat("j", 257)}, causeJTI},
		{"I26 jti a number", claims{"jti": 7}, causeClaims},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			refused := f.refuse(t, withAssertion(f.assertion(t, row.change)), oauth.InvalidClient, row.cause)
			want := failed
			if row.cause == causeAudience {
				want = "the audience of the client assertion must be " + issuer + " alone"
			}
			if refused.Description != want {
				t.Errorf("description %q", refused.Description)
			}
		})
	}
}

func TestAssertionFormRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	good := header("ES256", keystest.ES256Other)
	payload := f.payload(t, nil)
	forge := func(header, payload string) string { return keystest.Forge(keystest.ES256Other, header, payload) }
	public := must(keystest.Key(keystest.ES256Other).Public().MarshalPEM())
	const (
		unknownKey = "unknown key: kid is not in the set"
		notAny     = "signature does not verify: not made by any key of the set"
		notMade    = "signature does not verify: not made by the key that kid names"
		notAllowed = "algorithm not allowed: header names neither ES256 nor RS256"
		badHeader  = "malformed token: header is not a strict JSON object"
		badType    = "assertion: typ is not client-authentication+jwt or JWT"
	)
	unsigned := keystest.Encode(strings.Replace(good, "ES256", "none", 1)) + "." + keystest.Encode(payload) + "."
	rows := []struct {
		name, assertion, cause string
	}{
		{"I24 an access token", forge(strings.Replace(good, "client-authentication+jwt", "at+jwt", 1), payload), badType},
		{"I24 a logout token", forge(strings.Replace(good, "client-authentication+jwt", "logout+jwt", 1), payload), badType},
		{"I24 typ with a space", forge(strings.Replace(good, "client-authentication+jwt", "JWT ", 1), payload), badType},
		{"I24 typ a number", forge(strings.Replace(good, `"client-authentication+jwt"`, "1", 1), payload), badHeader},
		{"I27 signed by another key under the client's kid", keystest.Forge(keystest.ES256, good, payload), notMade},
		{"I27 signed by another key under its own kid", keystest.Forge(keystest.ES256, header("ES256", keystest.ES256), payload), notAny},
		{"I27 signed by another client's key", keystest.Forge(keystest.RS256Other, header("RS256", keystest.RS256Other), payload), unknownKey},
		{"I27 signed by another key under no kid", keystest.Forge(keystest.ES256, `{"alg":"ES256"}`, payload), notAny},
		{"I27 no kid, and no key of the algorithm", keystest.Forge(keystest.RS256Other, `{"alg":"RS256"}`, payload), unknownKey},
		{"I27 kid of 257 octets", forge(strings.Replace(good, `"kid":"`, `"kid":"`+strings.Repeat("k", 257), 1), payload), "malformed token: kid longer than 256 octets"},
		{"I27 alg none", unsigned, "malformed token: empty signature"},
		{"I27 alg none with a signature", forge(strings.Replace(good, "ES256", "none", 1), payload), notAllowed},
		{"I27 alg nOnE", forge(strings.Replace(good, "ES256", "nOnE", 1), payload), notAllowed},
		{"I27 HS256 with the public key", signHS256(strings.Replace(good, "ES256", "HS256", 1), payload, public), notAllowed},
		{"I27 alg of another key type", forge(strings.Replace(good, "ES256", "RS256", 1), payload), "algorithm not allowed: header and key name different algorithms"},
		{"I27 ES384", forge(strings.Replace(good, "ES256", "ES384", 1), payload), notAllowed},
		{"I27 no alg", forge(strings.Replace(good, `"alg":"ES256",`, "", 1), payload), notAllowed},
		{"I27 payload of another assertion", swapPayload(forge(good, payload), f.payload(t, claims{"jti": "other"})), notMade},
		{"I27 crit", forge(strings.Replace(good, "{", `{"crit":["exp"],`, 1), payload), "malformed token: header has crit"},
		{"header member twice", forge(strings.Replace(good, "{", `{"alg":"ES256",`, 1), payload), badHeader},
		{"claim twice", forge(good, strings.Replace(payload, "{", `{"sub":"rsa",`, 1)), causeClaims},
		{"claim twice, one escaped", forge(good, strings.Replace(payload, "{", `{"\u0073ub":"rsa",`, 1)), causeClaims},
		{"claim in another case is another claim", forge(good, strings.Replace(payload, `"sub"`, `"Sub"`, 1)), causeIssuer},
		{"claims not UTF-8", forge(good, strings.Replace(payload, "{", "{\"a\":\"\xff\",", 1)), causeClaims},
		{"claims with something after them", forge(good, payload+"{}"), causeClaims},
		{"claims an array", forge(good, "["+payload+"]"), causeClaims},
		{"no claims", forge(good, ""), causeClaims},
		{"two segments", "a.b", "malformed token: not three segments"},
		{"JSON serialization", `{"payload":"","signatures":[]}`, "malformed token: not three segments"},
		{"padding", forge(good, payload) + "=", "malformed token: not canonical unpadded base64url"},
		{"white space", " " + forge(good, payload), "malformed token: not canonical unpadded base64url"},
		{"longer than 8 KiB", forge(good, payload) + strings.Repeat("A", 8<<10), "malformed token: longer than 8 KiB"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			refused := f.refuse(t, withAssertion(row.assertion), oauth.InvalidClient, row.cause)
			if refused.Description != failed {
				t.Errorf("description %q", refused.Description)
			}
		})
	}
}

// signHS256 signs with a public key as if it were a shared secret: the classic confusion of algorithms.
func signHS256(header, payload string, key []byte) string {
	input := keystest.Encode(header) + "." + keystest.Encode(payload)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(input))
	return input + "." + keystest.Encode(mac.Sum(nil))
}

func swapPayload(token, payload string) string {
	parts := strings.Split(token, ".")
	return parts[0] + "." + keystest.Encode(payload) + "." + parts[2]
}

func TestAssertionParameters(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	assertion := f.assertion(t, nil)
	const wrongType = "client_assertion_type is missing or not " + assertionType
	rows := []struct {
		name  string
		form  []string
		code  oauth.Code
		cause string
	}{
		{"I21 no type", []string{"client_assertion", assertion}, oauth.InvalidRequest, wrongType},
		{"I21 SAML", []string{"client_assertion", assertion, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}, oauth.InvalidRequest, wrongType},
		{"I21 another case", []string{"client_assertion", assertion, "client_assertion_type", strings.ToUpper(assertionType)}, oauth.InvalidRequest, wrongType},
		{"I21 type without assertion", []string{"client_assertion_type", assertionType}, oauth.InvalidRequest, "client_assertion is missing"},
		{"I22 client_id of another client", []string{"client_assertion", assertion, "client_assertion_type", assertionType, "client_id", "rsa"}, oauth.InvalidClient, causeIssuer},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			f.refuse(t, oauth.Request{Form: form(row.form...)}, row.code, row.cause)
		})
	}
}
