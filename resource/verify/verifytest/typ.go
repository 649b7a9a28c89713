package verifytest

import (
	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// types: an ID token, a logout token, a client assertion or a DPoP proof by the same key is no access token (RFC 8725
// §3.11, RFC 9068 §4).
func (m maker) types() []row {
	rows := []row{
		{"AT+JWT", m.head("typ", `"AT+JWT"`), nil},
		{"application/at+jwt", m.head("typ", `"application/at+jwt"`), nil}, // RFC 7515 §4.1.9
		{"APPLICATION/AT+JWT", m.head("typ", `"APPLICATION/AT+JWT"`), nil},
		{"spelled with an escape", m.head("typ", `"\u0061t+jwt"`), nil},
		{"by RSA", keystest.Forge(keystest.RS256, m.rsHeader.With("typ", `"AT+jwt"`).String(), m.claims.String()), nil},
		{"missing", m.forge(m.header.Without("typ"), m.claims), verify.ErrType},
		{"cty instead", m.forge(m.header.Without("typ").With("cty", `"at+jwt"`), m.claims), verify.ErrType},
		{"as a claim instead", m.forge(m.header.Without("typ"), m.claims.With("typ", `"at+jwt"`)), verify.ErrType},
		{"null", m.head("typ", "null"), verify.ErrType},
		{"a number", m.head("typ", "1"), verify.ErrMalformed},
		{"true", m.head("typ", "true"), verify.ErrMalformed},
		{"an array", m.head("typ", `["at+jwt"]`), verify.ErrMalformed},
		{"an object", m.head("typ", `{"typ":"at+jwt"}`), verify.ErrMalformed},
	}
	for _, typ := range []string{"", "JWT", "jwt", "id_token", "dpop+jwt", "client-authentication+jwt", "logout+jwt",
		"secevent+jwt", "token-introspection+jwt", "oauth-authz-req+jwt", "entity-statement+jwt", "dc+sd-jwt", "kb+jwt",
		"rt+jwt", "JOSE", "JOSE+JSON", "application/jwt", "application/", "application/ at+jwt",
		"application/application/at+jwt", "application//at+jwt", "text/at+jwt", "/at+jwt", "*/*", "at+jwt;v=1",
		"at+jwt; v=1", "application/at+jwt;v=1", "at+jwt ", " at+jwt", `at+jwt\n`, `at+jwt\u0000`, "at jwt", "at%2Bjwt",
		"at-jwt", "at+jw", "at+jwtx", "a", "at+jwt,JWT", "at+jwt+jwt", "at+jwｔ", "аt+jwt", `at+jwt\u0301`, "at＋jwt"} {
		rows = append(rows, row{`"` + typ + `"`, m.head("typ", `"`+typ+`"`), verify.ErrType})
	}
	return rows
}
