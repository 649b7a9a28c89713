package verifytest

import (
	"fmt"
	"strings"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

func (m maker) sizes() []row {
	const largest = keys.MaxTokenSize
	fill := func(size int) string { return m.token + strings.Repeat("A", size-len(m.token)) }
	claims := make([]string, 10_000)
	for i := range claims {
		claims[i] = fmt.Sprintf(`"c%04d":0,`, i)
	}
	return []row{
		{"8 KiB, and genuine", m.sized(largest), nil},
		{"8 KiB and 1, and genuine but for that", m.sized(largest + 1), verify.ErrMalformed},
		{"8 KiB and 1", fill(largest + 1), verify.ErrMalformed},
		{"8 KiB of letters", strings.Repeat("A", largest), verify.ErrMalformed},
		{"8 KiB of dots", strings.Repeat(".", largest), verify.ErrMalformed},
		{"8 KiB of letters and two dots", strings.Repeat("A", largest-6) + ".AA.AA", verify.ErrMalformed},
		{"8 KiB of octets 0xFF", strings.Repeat("\xff", largest), verify.ErrMalformed},
		{"8 KiB of signature", input(m.header, m.claims) + "." + strings.Repeat("A", 6000), verify.ErrSignature},
		{"5,000 arrays in each other, unclosed", m.with("x", strings.Repeat("[", 5000)), verify.ErrClaims},
		{"1,000 objects in each other, unclosed", m.with("x", strings.Repeat(`{"":`, 1000)), verify.ErrClaims},
		{"2,500 escapes", m.with("x", `"`+strings.Repeat(`\n`, 2500)+`"`), nil},
		{"depth 10,000", m.with("x", strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)), verify.ErrMalformed},
		{"10,000 claims", m.payload("{" + strings.Join(claims, "") + m.claims.String()[1:]), verify.ErrMalformed},
		{"1 MB", fill(1_000_000), verify.ErrMalformed},
		{"1 MB of payload, signed", m.with("x", quote(strings.Repeat("x", 700_000))), verify.ErrMalformed},
		{"1 MB of header, signed", m.head("x", quote(strings.Repeat("x", 700_000))), verify.ErrMalformed},
		{"a million dots", strings.Repeat(".", 1_000_000), verify.ErrMalformed},
		{"a million signs of padding", m.token + strings.Repeat("=", 1_000_000), verify.ErrMalformed},
	}
}

// sized is genuine and has exactly so many octets. Base64 cannot have every length, so the header gives way.
func (m maker) sized(size int) string {
	const signature = 86 // of 64 octets
	claims := m.claims.With("pad", `""`)
	for _, spare := range []string{"", "x", "xx", "xxx"} {
		header := m.header.With("pad", quote(spare))
		room := size - len(keystest.Encode(header.String())) - len("..") - signature
		pad := room*3/4 - len(claims.String())
		text := input(header, claims.With("pad", quote(strings.Repeat("x", pad))))
		if len(text)+len(".")+signature == size {
			return signed(text)
		}
	}
	panic(fmt.Sprintf("verifytest: no token of %d octets", size))
}

// mixUps are tokens of another issuer, whom nobody here trusts, and of ours (RFC 9700 §4.4).
func (m maker) mixUps() []row {
	const other = "https://other.example.com"
	theirs := m.claims.With("iss", quote(other))
	by := func(name string, header, claims keystest.Object) string {
		return keystest.Forge(name, header.String(), claims.String())
	}
	otherHeader := keystest.AccessHeader(keystest.ES256Other)
	return []row{
		{"the other's own token", by(keystest.ES256Other, otherHeader, theirs), verify.ErrIssuer},
		{"the other's own token under our kid", by(keystest.ES256Other, m.header, theirs), verify.ErrSignature},
		{"the other's key under our iss", by(keystest.ES256Other, otherHeader, m.claims), verify.ErrUnknownKey},
		{"the other's key under our iss and our kid", by(keystest.ES256Other, m.header, m.claims), verify.ErrSignature},
		{"the other's RSA key under our iss and our kid", by(keystest.RS256Other, m.rsHeader, m.claims),
			verify.ErrSignature},
		{"our key under the other's iss", m.forge(m.header, theirs), verify.ErrIssuer},
		{"our key under the other's kid", m.forge(otherHeader, m.claims), verify.ErrUnknownKey},
		{"our key under the other's kid and iss", m.forge(otherHeader, theirs), verify.ErrIssuer},
		{"our key under both iss", m.with("iss", "["+quote(m.issuer)+","+quote(other)+"]"), verify.ErrClaims},
	}
}
