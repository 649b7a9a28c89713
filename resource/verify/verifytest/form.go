package verifytest

import (
	"fmt"
	"strings"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

func (m maker) forms() []row {
	head, payload, signature := segments(m.token)
	words := []row{
		{"nothing", "", verify.ErrMalformed},
		{"a word", "token", verify.ErrMalformed},
		{"one segment", head, verify.ErrMalformed},
		{"two segments", head + "." + payload, verify.ErrMalformed},
		{"four segments", m.token + ".AAAA", verify.ErrMalformed},
		{"four, the last empty", m.token + ".", verify.ErrMalformed},
		{"four, the first empty", "." + m.token, verify.ErrMalformed},
		{"four, an empty one inside", head + ".." + payload + "." + signature, verify.ErrMalformed},
		{"five segments", m.token + ".AAAA.AAAA", verify.ErrMalformed},
		{"one dot", ".", verify.ErrMalformed},
		{"two dots", "..", verify.ErrMalformed},
		{"three dots", "...", verify.ErrMalformed},
		{"no header", "." + payload + "." + signature, verify.ErrMalformed},
		{"the signature alone", ".." + signature, verify.ErrMalformed},
		{"detached payload", head + ".." + signature, verify.ErrSignature}, // RFC 7515 appendix F
		{"no payload, and signed so", signed(head + "."), verify.ErrClaims},
		{"payload first", payload + "." + head + "." + signature, verify.ErrAlgorithm},
		{"signature first", signature + "." + head + "." + payload, verify.ErrMalformed},
		{"two tokens in a row", m.token + m.token, verify.ErrMalformed},
		{"two tokens and a dot", m.token + "." + m.token, verify.ErrMalformed},
	}
	return append(append(words, m.serializations()...), m.otherFormats()...)
}

// serializations are genuine signatures in the forms that are not for tokens (RFC 7519 §1, RFC 7515 §7.2): members that
// nobody has signed may stand beside those that somebody has.
func (m maker) serializations() []row {
	head, payload, signature := segments(m.token)
	flat := fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, head, payload, signature)
	general := fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q}]}`, payload, head, signature)
	beside := func(document, member string) string { return strings.TrimSuffix(document, "}") + "," + member + "}" }
	two := strings.Replace(general, `"signatures":[`, `"signatures":[{"header":{"alg":"none"},"signature":""},`, 1)
	return []row{
		{"flattened JSON", flat, verify.ErrMalformed},
		{"flattened JSON, an unsigned header beside", beside(flat, `"header":{"alg":"none"}`), verify.ErrMalformed},
		{"flattened JSON, an unsigned payload beside", beside(flat, `"payload":"e30"`), verify.ErrMalformed},
		{"flattened JSON, a dot in it", beside(flat, `"x":".."`), verify.ErrMalformed},
		{"flattened JSON in base64", keystest.Encode(flat), verify.ErrMalformed},
		{"flattened JSON as each segment", strings.Repeat(keystest.Encode(flat)+".", 2) + keystest.Encode(flat),
			verify.ErrAlgorithm},
		{"flattened JSON in place of the header", keystest.Encode(flat) + "." + payload + "." + signature,
			verify.ErrAlgorithm},
		{"general JSON", general, verify.ErrMalformed},
		{"general JSON, an unsigned signature beside", two, verify.ErrMalformed},
		{"general JSON, no signature", `{"payload":"` + payload + `","signatures":[]}`, verify.ErrMalformed},
	}
}

// otherFormats are tokens of other kinds, encrypted, nested or unencoded.
func (m maker) otherFormats() []row {
	nested := m.header.With("cty", `"JWT"`).String()
	unencoded := m.header.With("crit", `["b64"]`).With("b64", "false")
	rawInput := keystest.Encode(unencoded.String()) + "." + inside(m.claims, "sub")
	jwe := keystest.Encode(`{"alg":"RSA-OAEP-256","enc":"A256GCM","kid":` + value(m.rsHeader, "kid") + `}`)
	dir := keystest.Encode(`{"alg":"dir","enc":"A256GCM","kid":` + value(m.header, "kid") + `}`)
	return []row{
		{"JWE", jwe + "." + strings.Repeat("A", 342) + ".AAAA.AAAA.AAAA", verify.ErrMalformed},
		{"JWE with a key agreed on", dir + "..AAAA.AAAA.AAAA", verify.ErrMalformed},
		{"JWE that says ES256", keystest.Encode(m.header.With("enc", `"A256GCM"`).String()) + ".AAAA.AAAA.AAAA.AAAA",
			verify.ErrMalformed},
		{"JWE header, three segments", signed(jwe + "." + keystest.Encode(m.claims.String())), verify.ErrAlgorithm},
		{"nested", keystest.Forge(keystest.ES256, nested, m.token), verify.ErrClaims}, // RFC 7519 §5.2
		{"nested, in quotes", keystest.Forge(keystest.ES256, nested, quote(m.token)), verify.ErrClaims},
		{"nested, unsigned inside", keystest.Forge(keystest.ES256, nested,
			input(m.header.With("alg", `"none"`), m.claims)+"."), verify.ErrClaims},
		{"unencoded payload", signed(rawInput), verify.ErrMalformed}, // RFC 7797
		{"SD-JWT", m.token + "~", verify.ErrMalformed},
		{"SD-JWT with a disclosure", m.token + "~" + keystest.Encode(`["salt","sub","admin"]`) + "~",
			verify.ErrMalformed},
		{"PASETO", "v4.public." + keystest.Encode(m.claims.String()), verify.ErrMalformed},
		{"CWT", "\xd2\x84\x43\xa1\x01\x26\xa0\x40\x40", verify.ErrMalformed}, // COSE_Sign1 of nothing, RFC 8392
		{"SAML", "<saml:Assertion ID=\"x\"/>", verify.ErrMalformed},
		{"an API key", "sk_live_51H8sJ2eZvKYlo2C", verify.ErrMalformed},
	}
}
