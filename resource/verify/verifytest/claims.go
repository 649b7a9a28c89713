package verifytest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

func (m maker) claimsTexts() []row {
	return slices.Concat(m.claimNames(), m.claimTexts())
}

// claimNames have claims twice, or under names that some readers take for others.
func (m maker) claimNames() []row {
	soon := m.at(time.Hour)
	others := m.claims.With("EXP", "1").With("Sub", `"admin"`).With("\u017fub", `"admin"`).With("ｅｘｐ",
		"1").With("e\u0301xp", "1").With("exp ", "1").
		With("", "0").With("__proto__", `{"sub":"admin"}`).With("CNF", "{}").With("x.sub", `"admin"`)
	rows := []row{
		{"other names beside the right ones", m.forge(m.header, others), nil},
		{"300 claims", m.forge(m.header, many(m.claims, 300)), nil},
		{"300 claims and one of them again", m.forge(m.header, many(m.claims, 300).Twice("c007", "0")),
			verify.ErrClaims},
		{"EXP instead of exp", m.instead("exp", "EXP"), verify.ErrClaims},
		{"Exp instead of exp", m.instead("exp", "Exp"), verify.ErrClaims},
		{"IAT instead of iat", m.instead("iat", "IAT"), verify.ErrClaims},
		{"Iss instead of iss", m.instead("iss", "Iss"), verify.ErrIssuer},
		{"AUD instead of aud", m.instead("aud", "AUD"), verify.ErrAudience},
		{"sub with the long s", m.instead("sub", "\u017fub"), verify.ErrClaims},
		{"exp in full-width letters", m.instead("exp", "ｅｘｐ"), verify.ErrClaims},
		{"exp with a look-alike letter", m.instead("exp", "ехр"), verify.ErrClaims},
		{"exp with a combining accent", m.instead("exp", "e\u0301xp"), verify.ErrClaims},
		{"exp with space", m.instead("exp", "exp "), verify.ErrClaims},
		{"exp with a zero-width space", m.instead("exp", "exp\u200b"), verify.ErrClaims},
		{"exp inside another claim", m.forge(m.header, m.claims.Without("exp").With("x", `{"exp":`+soon+"}")),
			verify.ErrClaims},
		{"iss as a URI", m.instead("iss", "urn:ietf:params:oauth:iss"), verify.ErrIssuer},
		{"exp with an escape", m.instead("exp", `\u0065xp`), verify.ErrClaims},
		{"exp again with an escape", m.with(`\u0065xp`, soon), verify.ErrClaims},
		{"sub again with an escape", m.with(`s\u0075b`, `"admin"`), verify.ErrClaims},
		{"exp again with NUL behind", m.with(`exp\u0000`, soon), verify.ErrClaims},
		{"an unknown name with an escape", m.with(`\u0078`, "1"), verify.ErrClaims},
		{"a nested name with an escape", m.with("x", `{"\u0079":1}`), verify.ErrClaims},
		{"a name with a line break", m.with("x\n", "1"), verify.ErrClaims},
		{"invalid UTF-8 in a name", m.with("\xff", "1"), verify.ErrClaims},
		{"an unknown claim twice", m.forge(m.header, m.claims.Twice("x", "1").Twice("x", "1")), verify.ErrClaims},
		{"a member twice inside a claim", m.with("x", `{"y":1,"y":2}`), verify.ErrClaims},
		{"a member twice, deep inside", m.with("x", `[[{"y":{"z":1,"z":2}}]]`), verify.ErrClaims},
	}
	for _, claim := range m.claims {
		rows = append(rows, row{claim.Name + " twice alike", m.twice(claim.Name, claim.Value), verify.ErrClaims})
	}
	return rows
}

// many are the claims and so many more.
func many(claims keystest.Object, n int) keystest.Object {
	more := slices.Clone(claims)
	for i := range n {
		more = append(more, keystest.Member{Name: fmt.Sprintf("c%03d", i), Value: "0"})
	}
	return more
}

// claimTexts are not one JSON object (RFC 8259), or one that readers may read in two ways.
func (m maker) claimTexts() []row {
	text := m.claims.String()
	open := strings.TrimSuffix(text, "}")
	rows := []row{
		{"space between members", m.payload("{ \r\n\t" + text[1:]), nil},
		{"a character outside the first plane", m.with("x", `"\ud83d\ude00"`), nil},
		{"a character that is none", m.with("x", "\"\uffff\ufdd0\""), nil},
		{"NUL in an unknown claim", m.with("x", `"\u0000"`), nil},
		{"an unknown number that no float holds", m.with("x", "[1e400,-1e400,"+strings.Repeat("9", 400)+"]"), nil},
		{"an unknown null", m.with("x", "null"), nil},
		{"as deep as a token can be", m.with("x", strings.Repeat("[", 2500)+strings.Repeat("]", 2500)), nil},
		{"an empty object", m.payload("{}"), verify.ErrIssuer},
		{"invalid UTF-8 in sub", m.with("sub", "\"\xff\""), verify.ErrClaims},
		{"a lone surrogate in sub", m.with("sub", `"\ud800"`), verify.ErrClaims},
	}
	for _, bad := range []named{
		{"empty", ""}, {"a brace", "{"}, {"a letter behind", text + "x"}, {"a brace behind", text + "}"},
		{"an object behind", text + "{}"}, {"twice", text + text}, {"NUL behind", text + "\x00"},
		{"space behind", text + " "}, {"a line break behind", text + "\n"}, {"space before", " " + text},
		{"a record separator before", "\x1e" + text}, {"a byte order mark", "\ufeff" + text},
		{"a prefix against inclusion", ")]}'\n" + text}, {"an array", "[" + text + "]"},
		{"a string", fmt.Sprintf("%q", text)}, {"a number", "1"}, {"null", "null"}, {"true", "true"},
		{"a token", m.token}, {"encoded once more", keystest.Encode(text)}, {"a form", "sub=billing&exp=9999999999"},
		{"YAML", "sub: billing\n"}, {"CBOR", "\xa1\x63sub\x67billing"}, {"cut short", open},
		{"a comma at the end", open + ",}"}, {"a comma at the beginning", "{," + text[1:]},
		{"a comment", open + "/**/}"}, {"a comment of a line", open + "//\n}"},
		{"single quotes", strings.ReplaceAll(text, `"`, `'`)},
		{"no quotes around a name", strings.Replace(text, `"iss"`, "iss", 1)},
		{"UTF-16", strings.Join(strings.Split(text, ""), "\x00") + "\x00"}, {"a name without value", open + `,"x"}`},
		{"two colons", open + `,"x"::1}`}, {"invalid UTF-8", open + ",\"x\":\"\xff\"}"},
		{"cut UTF-8", open + ",\"x\":\"\xc3\"}"}, {"overlong UTF-8", open + ",\"x\":\"\xc0\xaf\"}"},
		{"overlong NUL", open + ",\"x\":\"\xc0\x80\"}"}, {"a surrogate in UTF-8", open + ",\"x\":\"\xed\xa0\x80\"}"},
		{"beyond the last plane", open + ",\"x\":\"\xf4\x90\x80\x80\"}"}, {"a lone surrogate", open + `,"x":"\ud800"}`},
		{"a lone low surrogate", open + `,"x":"\udc00"}`},
		{"surrogates in the wrong order", open + `,"x":"\ude00\ud83d"}`},
		{"a control character", open + ",\"x\":\"a\tb\"}"}, {"a bad escape", open + `,"x":"\x41"}`},
		{"an escape cut short", open + `,"x":"\u00"}`}, {"a word of JavaScript", open + `,"x":undefined}`},
		{"a word of Python", open + `,"x":True}`}, {"an unknown number with a zero before", open + `,"x":01}`},
		{"an unknown NaN", open + `,"x":NaN}`}, {"deep and unclosed", open + `,"x":` + strings.Repeat("[", 2500) + "}"},
		{"closed with the other bracket", open + "]"},
	} {
		rows = append(rows, row{bad.name, m.payload(bad.value), verify.ErrClaims})
	}
	return rows
}
