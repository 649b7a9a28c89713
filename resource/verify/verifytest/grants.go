package verifytest

import (
	"strings"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// grants: a scope is one text (RFC 9068 §2.2.3), and a token that is bound to a key is no bearer token (RFC 7800 §3.1).
func (m maker) grants() []row {
	rows := []row{
		{"scope missing", m.without("scope"), nil},
		{"scope empty", m.with("scope", `""`), nil},
		{"scope null", m.with("scope", "null"), verify.ErrClaims},
		{"scope of spaces", m.with("scope", `"   "`), nil},
		{"scope with two spaces", m.with("scope", `"orders:read  orders:write"`), nil},
		{"scope with a tab", m.with("scope", `"orders:read\torders:write"`), nil},
		{"scope with space around", m.with("scope", `" orders:read "`), nil},
		{"scope with the same twice", m.with("scope", `"orders:read orders:read"`), nil},
		{"scope of 5 KB", m.with("scope", quote(strings.TrimSpace(strings.Repeat("x ", 2500)))), nil},
		{"scope of one word of 5 KB", m.with("scope", quote(strings.Repeat("x", 5000))), nil},
		{"scope twice", m.twice("scope", `"admin"`), verify.ErrClaims},
		{"scope again with an escape", m.with(`\u0073cope`, `"admin"`), verify.ErrClaims},
		{"scope an array", m.with("scope", `["orders:read"]`), verify.ErrClaims},
		{"scope a number", m.with("scope", "1"), verify.ErrClaims},
		{"scope true", m.with("scope", "true"), verify.ErrClaims},
		{"scope an object", m.with("scope", `{"orders:read":true}`), verify.ErrClaims},
		{"cnf twice", m.forge(m.header, m.claims.With("cnf", "{}").Twice("cnf", "{}")), verify.ErrClaims},
		{"cnf with an escape", m.with(`\u0063nf`, `{"jkt":"x"}`), verify.ErrClaims},
		// Only the claim binds (RFC 7800 §3): what another member has inside is for its reader.
		{"cnf inside another claim", m.with("act", `{"sub":"x","cnf":{"jkt":"x"}}`), nil},
		{"cnf in the header", m.head("cnf", `{"jkt":"x"}`), nil},
	}
	const thumbprint = `"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"`
	for _, cnf := range []string{`{"jkt":` + thumbprint + `}`, `{"x5t#S256":` + thumbprint + `}`,
		`{"jwk":` + jwkOf(keystest.ES256Other) + `}`, `{"kid":"x"}`, `{"cnf":{"cnf":{}}}`, "{}", "[]", "null", "false",
		"0", `""`, `"x"`} {
		rows = append(rows, row{"cnf " + cnf, m.with("cnf", cnf), verify.ErrConfirmation})
	}
	return rows
}
