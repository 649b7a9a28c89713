package verifytest

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"slices"
	"strings"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

func (m maker) headers() []row {
	return slices.Concat(m.headerNames(), m.headerTexts(), m.criticals(), m.offers())
}

// headerNames have members twice, or under names that some readers take for others (RFC 8725 §2.4).
func (m maker) headerNames() []row {
	instead := func(name, other string) string {
		return m.forge(m.header.Without(name).With(other, value(m.header, name)), m.claims)
	}
	kid := value(m.header, "kid")
	return []row{
		{"alg twice", m.headTwice("alg", `"ES256"`), verify.ErrMalformed},
		{"alg twice, none first", m.forge(m.header.With("alg", `"none"`).Twice("alg", `"ES256"`), m.claims),
			verify.ErrMalformed},
		{"alg twice, none last", m.headTwice("alg", `"none"`), verify.ErrMalformed},
		{"kid twice", m.headTwice("kid", kid), verify.ErrMalformed},
		{"kid twice, a stranger's first", m.forge(m.header.With("kid", `"x"`).Twice("kid", kid), m.claims),
			verify.ErrMalformed},
		{"typ twice", m.headTwice("typ", `"JWT"`), verify.ErrMalformed},
		{"an unknown member twice", m.forge(m.header.Twice("x", "1").Twice("x", "1"), m.claims), verify.ErrMalformed},
		{"a member twice, deep inside", m.head("x", `[{"y":{"z":1,"z":1}}]`), verify.ErrMalformed},
		{"alg with an escape", instead("alg", `\u0061lg`), verify.ErrMalformed},
		{"alg again with an escape", m.head(`\u0061lg`, `"none"`), verify.ErrMalformed},
		{"kid with an escape", instead("kid", `\u006bid`), verify.ErrMalformed},
		{"crit with an escape", m.head(`\u0063rit`, `["x"]`), verify.ErrMalformed},
		{"an unknown name with an escape", m.head(`\u0078`, "1"), verify.ErrMalformed},
		{"a nested name with an escape", m.head("x", `{"\u0079":1}`), verify.ErrMalformed},
		{"a name with NUL", m.head(`alg\u0000`, `"none"`), verify.ErrMalformed},
		{"ALG", instead("alg", "ALG"), verify.ErrAlgorithm},
		{"Alg", instead("alg", "Alg"), verify.ErrAlgorithm},
		{"ALG cannot mend alg", m.forge(m.header.With("alg", `"none"`).With("ALG", `"ES256"`), m.claims),
			verify.ErrAlgorithm},
		{"KID", instead("kid", "KID"), verify.ErrMalformed},
		{"TYP", instead("typ", "TYP"), verify.ErrType},
		{"alg in full-width letters", instead("alg", "ａｌｇ"), verify.ErrAlgorithm},
		{"kid with the Kelvin sign", instead("kid", "\u212aid"), verify.ErrMalformed},
		{"alg with a combining accent", instead("alg", "a\u0301lg"), verify.ErrAlgorithm},
		{"alg with space", instead("alg", "alg "), verify.ErrAlgorithm},
		// Names are compared exactly, so these are unknown members like any other.
		{"other names beside the right ones",
			m.forge(m.header.With("ALG", `"none"`).With("\u212aid", `"x"`).With("Crit", `["x"]`).With("", "0").
				With("__proto__", `{"alg":"none"}`), m.claims), nil},
	}
}

// headerTexts are not one JSON object (RFC 8259), or one that readers may read in two ways.
func (m maker) headerTexts() []row {
	text := m.header.String()
	open := strings.TrimSuffix(text, "}")
	rows := []row{
		{"space between members", m.headText("{ \n\t\r" + strings.Replace(text[1:], ":", " : ", 1)), nil},
		{"members in another order", m.forge(keystest.Object{m.header[2], m.header[1], m.header[0]}, m.claims), nil},
		{"an unknown member", m.head("x", `{"y":[1,null]}`), nil},
		// RFC 7519 §5.3 lets claims be repeated there; nobody has to look.
		{"claims again in the header", m.forge(m.header.With("iss", `"https://evil.example.com"`).With("exp", "1"),
			m.claims), nil},
		{"deep, but within 1 KiB", m.head("x", strings.Repeat("[", 400)+strings.Repeat("]", 400)), nil},
		{"deep", m.head("x", strings.Repeat("[", 2500)+strings.Repeat("]", 2500)), verify.ErrMalformed},
		{"900 octets", m.head("x", quote(strings.Repeat("x", 750))), nil},
		{"5 KB", m.head("x", quote(strings.Repeat("x", 5000))), verify.ErrMalformed},
		{"8 KiB", m.head("x", quote(strings.Repeat("x", 8<<10))), verify.ErrMalformed},
		{"deep and unclosed", m.head("x", strings.Repeat("[", 2500)+strings.Repeat("]", 2499)), verify.ErrMalformed},
		{"depth 10,000", m.head("x", strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)), verify.ErrMalformed},
		{"an empty object", m.headText("{}"), verify.ErrAlgorithm},
	}
	for _, bad := range []named{
		{"empty", ""}, {"a brace", "{"}, {"a letter behind", text + "x"}, {"a brace behind", text + "}"},
		{"an object behind", text + "{}"}, {"NUL behind", text + "\x00"}, {"a line break behind", text + "\n"},
		{"space behind", text + " "}, {"space before", " " + text}, {"a record separator before", "\x1e" + text},
		{"a byte order mark", "\ufeff" + text}, {"twice", text + text}, {"an array", "[" + text + "]"},
		{"a string", quote("ES256")}, {"a number", "256"}, {"null", "null"}, {"true", "true"}, {"unclosed", open},
		{"a comma at the end", open + ",}"}, {"a comment", open + "/**/}"},
		{"single quotes", strings.ReplaceAll(text, `"`, `'`)}, {"no quotes", strings.ReplaceAll(text, `"`, "")},
		{"UTF-16", strings.Join(strings.Split(text, ""), "\x00") + "\x00"},
		{"a control character in a value", open + ",\"x\":\"\x01\"}"}, {"a bad escape", open + `,"x":"\x41"}`},
		{"a bad number", open + `,"x":01}`}, {"invalid UTF-8", open + ",\"x\":\"\xff\"}"},
		{"invalid UTF-8 in a name", open + ",\"\xff\":0}"}, {"overlong UTF-8", open + ",\"x\":\"\xc0\xaf\"}"},
		{"a surrogate in UTF-8", open + ",\"x\":\"\xed\xa0\x80\"}"}, {"a lone surrogate", open + `,"x":"\ud800"}`},
		{"a lone low surrogate", open + `,"x":"\udc00"}`}, {"a member without value", open + `,"x"}`},
		{"a member without name", open + `,:1}`},
	} {
		rows = append(rows, row{bad.name, m.headText(bad.value), verify.ErrMalformed})
	}
	return rows
}

// criticals change what a token means; who does not understand them must refuse (RFC 7515 §4.1.11).
func (m maker) criticals() (rows []row) {
	for _, crit := range []string{`["x"]`, `["x","x"]`, "[]", `["alg"]`, `["exp"]`, `["b64"]`, `["crit"]`, `[""]`,
		"[1]", "null", `"x"`, "false", "0", "{}"} {
		rows = append(rows, row{"crit " + crit, m.forge(m.header.With("crit", crit).With("x", "1"), m.claims),
			verify.ErrMalformed})
	}
	for _, b64 := range []string{"false", "true", `"false"`, "0", "null", "[]"} {
		rows = append(rows, row{"b64 " + b64, m.head("b64", b64), verify.ErrMalformed})
	}
	for _, zip := range []string{`"DEF"`, `""`, "null"} {
		rows = append(rows, row{"zip " + zip, m.head("zip", zip), verify.ErrMalformed})
	}
	return append(rows,
		row{"b64 false and critical", m.forge(m.header.With("crit", `["b64"]`).With("b64", "false"), m.claims),
			verify.ErrMalformed},
		row{"b64 true and critical", m.forge(m.header.With("crit", `["b64"]`).With("b64", "true"), m.claims),
			verify.ErrMalformed},
		row{"crit before all others", m.headText(`{"crit":["x"],` + m.header.String()[1:]), verify.ErrMalformed})
}

// offers are signed by a stranger who brings what would verify them (RFC 7515 §4.1.2 to §4.1.6; CVE-2018-0114).
func (m maker) offers() (rows []row) {
	jwk, certificate := jwkOf(keystest.ES256Other), base64.StdEncoding.EncodeToString(selfSigned(keystest.ES256Other))
	theirs := keystest.AccessHeader(keystest.ES256Other)
	by := func(header keystest.Object) string {
		return keystest.Forge(keystest.ES256Other, header.String(), m.claims.String())
	}
	for _, offer := range []named{
		{"jku", `"https://evil.example.com/jwks.json"`}, {"x5u", `"https://evil.example.com/cert.pem"`}, {"jwk", jwk},
		{"x5c", `["` + certificate + `"]`}, {"x5t#S256", `"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"`},
		{"jwks", `{"keys":[` + jwk + `]}`},
	} {
		rows = append(rows,
			row{offer.name + " of the attacker", by(m.header.With(offer.name, offer.value)), verify.ErrSignature},
			row{offer.name + " of the attacker, under his kid", by(theirs.With(offer.name, offer.value)),
				verify.ErrUnknownKey},
			row{offer.name + " of the attacker, no kid", by(m.header.Without("kid").With(offer.name, offer.value)),
				verify.ErrMalformed},
			// It is never read and never followed, so it does no harm.
			row{offer.name + ", and our own signature", m.head(offer.name, offer.value), nil})
	}
	return append(rows, row{"jku to this machine, under an unknown kid",
		by(theirs.With("kid", `"x"`).With("jku", `"http://127.0.0.1:1/jwks"`)), verify.ErrUnknownKey})
}

// selfSigned is a certificate of the named key by itself, in DER.
func selfSigned(name string) []byte {
	template, key := &x509.Certificate{SerialNumber: big.NewInt(1)}, keystest.Raw(name)
	return must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
}
