package verifytest

import (
	"net/url"
	"strings"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

func (m maker) spellings() []row {
	spare := input(loose(m.header), loose(m.claims))
	head, body, _ := strings.Cut(spare, ".")
	rows := []row{
		{"with unused bits in each segment", signed(spare), nil},
		{"stray bits in the header, signed so", signed(stray(head, 1) + "." + body), verify.ErrMalformed},
		{"stray bits in the payload, signed so", signed(head + "." + stray(body, 1)), verify.ErrMalformed},
		{"padding in the header, signed so", signed(padded(head) + "." + body), verify.ErrMalformed},
		{"padding in the payload, signed so", signed(head + "." + padded(body)), verify.ErrMalformed},
		{"line break in the payload, signed so", signed(head + "." + body[:40] + "\n" + body[40:]),
			verify.ErrMalformed},
		{"space in the payload, signed so", signed(head + "." + body[:40] + " " + body[40:]), verify.ErrMalformed},
		{"header not encoded, signed so", signed(m.header.String() + "." + body), verify.ErrMalformed},
		{"payload not encoded, signed so", signed(head + "." + m.claims.Without("iss").Without("aud").String()),
			verify.ErrMalformed},
	}
	for _, variant := range Spellings(m.token) {
		rows = append(rows, row{variant.Name, variant.Token, variant.Want})
	}
	for _, variant := range Spellings(signed(spare)) { // whose header Signet would not have written
		rows = append(rows, row{variant.Name + ", of another header", variant.Token, variant.Want})
	}
	return rows
}

// Spellings returns other spellings of a genuine token, all of class spelling. Lenient readers read the same from most
// of them; all are refused, before and after the token itself was seen.
func Spellings(token string) []Row {
	var rows []Row
	add := func(name, text string) {
		rows = append(rows, Row{"spelling", name, text, verify.ErrMalformed})
	}
	parts := strings.Split(token, ".")
	for i, name := range []string{"header", "payload", "signature"} {
		change := func(name string, segment string) {
			changed := append([]string(nil), parts...)
			changed[i] = segment
			add(name, strings.Join(changed, "."))
		}
		for _, v := range segmentSpellings(parts[i]) {
			change(v.name+" the "+name, v.value)
		}
	}
	for _, v := range wholeSpellings(token) {
		add(v.name, v.value)
	}
	return rows
}

// strangers are what decoders pass over, or editors and logs leave in.
var strangers = []named{
	{"CR", "\r"}, {"LF", "\n"}, {"CR LF", "\r\n"}, {"tab", "\t"}, {"space", " "}, {"NUL", "\x00"},
	{"octet 0xFF", "\xff"}, {"a no-break space", "\u00a0"}, {"a zero-width space", "\u200b"},
	{"a byte order mark", "\ufeff"}, {"a soft hyphen", "\u00ad"}, {"a line separator", "\u2028"},
	{"a sign of padding", "="}, {"two signs of padding", "=="}, {"an ampersand", "&"}, {"a comma", ","},
	{"a percent sign", "%20"}, {"a minus of another kind", "−"},
}

func segmentSpellings(segment string) (all []named) {
	for _, s := range strangers {
		all = append(all, named{s.name + " before", s.value + segment},
			named{s.name + " inside", segment[:4] + s.value + segment[4:]},
			named{s.name + " behind", segment + s.value})
	}
	if unused := unusedBits(segment); unused > 0 {
		all = append(all, named{"one stray bit in", stray(segment, 1)},
			named{"all stray bits in", stray(segment, 1<<unused-1)})
	}
	if standard := toStandard(segment); standard != segment {
		all = append(all, named{"the standard alphabet in", standard},
			named{"the standard alphabet, padded, in", padded(standard)})
	}
	return append(all, named{"an impossible length of", segment[:len(segment)-(len(segment)+3)%4]},
		named{"a plus sign in", "+" + segment[1:]}, named{"a slash in", "/" + segment[1:]},
		named{"a full-width letter in", segment[:4] + "Ａ" + segment[5:]})
}

func wholeSpellings(token string) []named {
	return []named{
		{"dots percent-encoded", strings.ReplaceAll(token, ".", "%2E")},
		{"dots percent-encoded in small letters", strings.ReplaceAll(token, ".", "%2e")},
		{"a letter percent-encoded", "%65" + token[1:]},
		{"escaped for a query", url.QueryEscape(token + "=")},
		{"full-width dots", strings.ReplaceAll(token, ".", "．")},
		{"escapes of JSON", strings.Replace(token, ".", `\u002e`, 1)},
		{"in capitals", strings.ToUpper(token)},
		{"in small letters", strings.ToLower(token)},
		{"in quotes", `"` + token + `"`},
		{"in single quotes", `'` + token + `'`},
		{"in angle brackets", "<" + token + ">"},
		{"with its scheme", "Bearer " + token},
		{"with its scheme, no space", "Bearer:" + token},
		{"as a parameter", "access_token=" + token},
		{"as an element of JSON", `["` + token + `"]`},
		{"with a fragment", token + "#x"},
		{"with a semicolon", token + ";"},
		{"encoded once more", keystest.Encode(token)},
		{"in UTF-16", strings.Join(strings.Split(token, ""), "\x00") + "\x00"},
		{"reversed", string(backwards([]byte(token)))},
	}
}

// unusedBits is how many of the last letter's bits no octet has.
func unusedBits(segment string) int {
	switch len(segment) % 4 {
	case 2:
		return 4
	case 3:
		return 2
	}
	return 0
}

// stray sets unused last bits: a lax decoder reads the same octets.
func stray(segment string, bits int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, segment[len(segment)-1]) | bits
	return segment[:len(segment)-1] + alphabet[last:last+1]
}

// loose is o, longer until its encoding has unused bits.
func loose(o keystest.Object) keystest.Object {
	for pad := "x"; unusedBits(keystest.Encode(o.String())) == 0; pad += "x" {
		o = o.With("pad", quote(pad))
	}
	return o
}

func padded(segment string) string {
	return segment + strings.Repeat("=", (4-len(segment)%4)%4)
}

// toStandard is the other alphabet of RFC 4648 (§4 instead of §5).
func toStandard(segment string) string {
	return strings.NewReplacer("-", "+", "_", "/").Replace(segment)
}
