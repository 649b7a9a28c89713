package server_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"strconv"
	"strings"
	"testing"

	"example.com/signet/keys/keystest"
)

func (c *checklist) assertionSigned(t *testing.T) {
	e := c.edge(t)
	for name, assertion := range e.badlySigned(t) {
		t.Run(name, func(t *testing.T) {
			checkRefused(t, e.askAssertion(t, assertion), 401, "invalid_client", failed)
		})
	}
	header := assertionHeader(keystest.ES256Other)
	both := func() string { return e.claims().With("iss", `"both"`).With("sub", `"both"`).String() }
	accepted := map[string]string{
		"no kid": keystest.Forge(keystest.ES256Other, header.Without("kid").String(),
			e.claims().String()),
		"kid of the client's own": keystest.Forge(keystest.ES256Other, header.With("kid", `"2026"`).String(),
			e.claims().String()),
		"the second of two keys": keystest.Forge(keystest.RS256Other,
			assertionHeader(keystest.RS256Other).String(), both()),
		"the second of two, no kid": keystest.Forge(keystest.RS256Other,
			assertionHeader(keystest.RS256Other).Without("kid").String(), both()),
		"a key in the header, ignored": keystest.Forge(keystest.ES256Other, header.With("jku",
			`"https://evil.example"`).With("jwk", "{}").String(), e.claims().String()),
	}
	for name, assertion := range accepted {
		t.Run(name, func(t *testing.T) { grantedToken(t, e.askAssertion(t, assertion)) })
	}
}

// badlySigned are assertions whose claims are good.
func (e *edge) badlySigned(t *testing.T) map[string]string {
	t.Helper()
	header, claims := assertionHeader(keystest.ES256Other), e.claims().String()
	good := keystest.Forge(keystest.ES256Other, header.String(), claims)
	signed := good[:strings.LastIndex(good, ".")]
	hs256 := func(header keystest.Object, key []byte) string {
		input := keystest.Encode(header.With("alg", `"HS256"`).String()) + "." + keystest.Encode(claims)
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(input))
		return input + "." + keystest.Encode(mac.Sum(nil))
	}
	public, err := keystest.Key(keystest.ES256Other).Public().MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	bad := map[string]string{
		"a stranger's key":         keystest.Forge(keystest.ES256, header.String(), claims),
		"a stranger's key, no kid": keystest.Forge(keystest.ES256, header.Without("kid").String(), claims),
		"a stranger's key, its kid": keystest.Forge(keystest.ES256, assertionHeader(keystest.ES256).String(),
			claims),
		"another client's key": keystest.Forge(keystest.RS256Other,
			assertionHeader(keystest.RS256Other).String(), claims),
		"a P-384 key":                  keystest.Forge(keystest.WrongCurve, header.String(), claims),
		"HS256 with the public key":    hs256(header, public),
		"HS256 with nothing":           hs256(header.Without("kid"), nil),
		"ES256 in the signature's DER": signed + "." + keystest.Encode(strings.Repeat("0", 70)),
		"a signature of zeros":         signed + "." + keystest.Encode(make([]byte, 64)),
		"no signature":                 signed + ".",
		"one octet more": signed + "." + keystest.Encode(append(keystest.SignRaw(keystest.ES256Other,
			signed), 0)),
		"other claims": strings.Replace(good, keystest.Encode(claims),
			keystest.Encode(e.claims().String()), 1),
		"crit": keystest.Forge(keystest.ES256Other, header.With("crit", `["exp"]`).String(),
			claims),
		"b64": keystest.Forge(keystest.ES256Other, header.With("b64", "false").String(),
			claims),
		"padding":            good + "==",
		"two of them":        good + "." + good,
		"white space behind": good + "\n",
		"JSON serialization": `{"payload":"` + keystest.Encode(claims) + `","signatures":[]}`,
	}
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "", "HS256", "HS512", "RS256", "RS512", "PS256",
		"ES384", "ES512", "EdDSA", "es256"} {
		changed := header.With("alg", strconv.Quote(alg))
		bad["alg "+alg] = keystest.Forge(keystest.ES256Other, changed.String(), claims)
		bad["alg "+alg+", unsigned"] = keystest.Encode(changed.String()) + "." + keystest.Encode(claims) + "."
	}
	return bad
}
