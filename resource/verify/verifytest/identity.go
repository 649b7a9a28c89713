package verifytest

import (
	"slices"
	"strings"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

func (m maker) identities() []row {
	return slices.Concat(m.issuers(), m.audiences(), m.names())
}

func (m maker) issuers() []row {
	iss := quote(m.issuer)
	scheme, host, _ := strings.Cut(m.issuer, "://")
	rows := []row{
		{"iss spelled with escapes", m.with("iss", strings.ReplaceAll(iss, "/", `\/`)), nil},
		{"iss missing", m.without("iss"), verify.ErrIssuer},
		{"iss null", m.with("iss", "null"), verify.ErrClaims},
		{"iss a number", m.with("iss", "1"), verify.ErrClaims},
		{"iss true", m.with("iss", "true"), verify.ErrClaims},
		{"iss an array", m.with("iss", "["+iss+"]"), verify.ErrClaims},
		{"iss an object", m.with("iss", "{"+iss+":1}"), verify.ErrClaims},
		{"iss twice", m.twice("iss", iss), verify.ErrClaims},
		{"iss twice, another first", m.forge(m.header,
			m.claims.With("iss", `"https://evil.example.com"`).Twice("iss", iss)), verify.ErrClaims},
		{"iss twice, another last", m.twice("iss", `"https://evil.example.com"`), verify.ErrClaims},
	}
	for _, other := range []named{
		{"empty", ""}, {"another", "https://evil.example.com"}, {"with a trailing slash", m.issuer + "/"},
		{"in capitals", strings.ToUpper(m.issuer)},
		{"with the host in capitals", scheme + "://LOCALHOST." + strings.ToUpper(host)},
		{"with the scheme in capitals", strings.ToUpper(scheme) + "://" + host},
		{"with another scheme", "ldap://" + host}, {"without scheme", host},
		{"with a user", scheme + "://issuer@" + host}, {"with a trailing dot", m.issuer + "."},
		{"with a digit more", m.issuer + "0"}, {"cut short", m.issuer[:len(m.issuer)-1]},
		{"with a path", m.issuer + "/tenant"}, {"with a dot segment", m.issuer + "/."},
		{"with a query", m.issuer + "?"}, {"with a fragment", m.issuer + "#"},
		{"as another's user", scheme + "://" + host + "@evil.example.com"},
		{"as another's prefix", m.issuer + ".evil.example.com"}, {"with space", m.issuer + " "},
		{"with space before", " " + m.issuer}, {"with NUL", m.issuer + `\u0000`},
		{"with a line break", m.issuer + `\n`}, {"with a zero-width space", m.issuer + `\u200b`},
		{"in full-width letters", "ｈttp" + strings.TrimPrefix(m.issuer, "http")},
		{"percent-encoded", strings.Replace(m.issuer, ":", "%3A", 1)}, {"two in one text", m.issuer + " " + m.issuer},
	} {
		rows = append(rows, row{"iss " + other.name, m.with("iss", `"`+other.value+`"`), verify.ErrIssuer})
	}
	return rows
}

func (m maker) audiences() []row {
	const ours, theirs = `"` + keystest.Audience + `"`, `"https://billing.example.com"`
	rows := []row{
		{"aud an array with ours alone", m.with("aud", "["+ours+"]"), nil},
		{"aud an array with ours", m.with("aud", "["+theirs+","+ours+"]"), nil},
		{"aud an array with ours twice", m.with("aud", "["+ours+","+ours+"]"), nil},
		{"aud an array with ours behind 100", m.with("aud", "["+strings.Repeat(theirs+",", 100)+ours+"]"), nil},
		{"aud spelled with escapes", m.with("aud", strings.ReplaceAll(ours, "/", `\/`)), nil},
		{"aud missing", m.without("aud"), verify.ErrAudience},
		{"aud null", m.with("aud", "null"), verify.ErrClaims},
		{"aud a number", m.with("aud", "1"), verify.ErrClaims},
		{"aud true", m.with("aud", "true"), verify.ErrClaims},
		{"aud an object", m.with("aud", "{"+ours+":true}"), verify.ErrClaims},
		{"aud an empty array", m.with("aud", "[]"), verify.ErrClaims},
		{"aud an array with a number", m.with("aud", "["+ours+",1]"), verify.ErrClaims},
		{"aud an array with null", m.with("aud", "["+ours+",null]"), verify.ErrClaims},
		{"aud an array with an array", m.with("aud", "[["+ours+"]]"), verify.ErrClaims},
		{"aud an array with an object", m.with("aud", "["+ours+",{}]"), verify.ErrClaims},
		{"aud an array with nothing of ours", m.with("aud", "["+theirs+`,""]`), verify.ErrAudience},
		{"aud twice", m.twice("aud", ours), verify.ErrClaims},
		{"aud twice, another's last", m.twice("aud", theirs), verify.ErrClaims},
		{"aud twice, another's first", m.forge(m.header, m.claims.With("aud", theirs).Twice("aud", ours)),
			verify.ErrClaims},
	}
	for _, other := range []named{
		{"empty", ""}, {"another's", "https://billing.example.com"}, {"the issuer", m.issuer},
		{"with a trailing slash", keystest.Audience + "/"}, {"in capitals", strings.ToUpper(keystest.Audience)},
		{"with the scheme in capitals", "HTTPS" + strings.TrimPrefix(keystest.Audience, "https")},
		{"with the usual port", keystest.Audience + ":443"}, {"with a trailing dot", keystest.Audience + "."},
		{"that begins like ours", keystest.Audience + ".evil.example.com"},
		{"that ends like ours", "https://evil.example.com?" + keystest.Audience},
		{"that is part of ours", strings.TrimSuffix(keystest.Audience, "m")},
		{"with a path", keystest.Audience + "/v1"},
		{"several in one text", keystest.Audience + " https://billing.example.com"},
		{"several with a comma", keystest.Audience + ",https://billing.example.com"}, {"a wildcard", "*"},
		{"a wildcard of our domain", "https://*.example.com"}, {"the host alone", "orders.example.com"},
		{"the client", "billing"}, {"with NUL", keystest.Audience + `\u0000`}, {"with space", keystest.Audience + " "},
		{"with a look-alike letter", "https://оrders.example.com"},
		{"with an accent", "https://orde\u0301rs.example.com"}, {"JSON in a text", `[\"` + keystest.Audience + `\"]`},
	} {
		rows = append(rows, row{"aud " + other.name, m.with("aud", `"`+other.value+`"`), verify.ErrAudience})
	}
	return rows
}

// names: sub, client_id and jti are there and are text (RFC 9068 §2.2).
func (m maker) names() (rows []row) {
	for _, claim := range []string{"sub", "client_id", "jti"} {
		rows = append(rows,
			row{claim + " missing", m.without(claim), verify.ErrClaims},
			row{claim + " twice", m.twice(claim, `"admin"`), verify.ErrClaims},
			row{claim + " twice, the first empty", m.forge(m.header,
				m.claims.With(claim, `""`).Twice(claim, `"admin"`)), verify.ErrClaims},
			row{claim + " in capitals", m.instead(claim, strings.ToUpper(claim)), verify.ErrClaims})
		for _, bad := range []named{{"empty", `""`}, {"null", "null"}, {"a number", "7"}, {"zero", "0"},
			{"true", "true"}, {"an array", `["billing"]`},
			{"an object", `{"id":"billing"}`}} {
			rows = append(rows, row{claim + " " + bad.name, m.with(claim, bad.value), verify.ErrClaims})
		}
	}
	return append(rows,
		row{"azp instead of client_id", m.instead("client_id", "azp"), verify.ErrClaims},
		row{"cid instead of client_id", m.instead("client_id", "cid"), verify.ErrClaims},
		row{"clientId instead of client_id", m.instead("client_id", "clientId"), verify.ErrClaims})
}
