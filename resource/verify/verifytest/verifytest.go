// Package verifytest has hostile tokens, each made by code that shows the one thing that is wrong with it, and says
// what a verifier must answer. Beside them stand tokens that differ from them in what matters, and are accepted.
//
//	stage := verifytest.NewStage(t, verify.Config{})
//	for _, row := range stage.Rows {
//		_, err := stage.Verifier.Verify(t.Context(), row.Token)
//		if !errors.Is(err, row.Want) { … }
//	}
//
// Nothing but a test may import this package.
package verifytest

import (
	"encoding/base64"
	"strings"
	"time"
)

// Row is a token and what becomes of it.
type Row struct {
	Class string // of attack
	Name  string // distinct in its class
	Token string
	Want  error // the one sentinel of package verify that the refusal wraps; nil: accepted
}

// Rows returns all rows, class by class, for a verifier that
//   - trusts issuer, whose JWK Set has the keys [keystest.ES256] and [keystest.RS256] and no other,
//   - expects the audience [keystest.Audience],
//   - shows now on its clock, which stands still, and allows no leeway.
//
// Every call signs anew, so that two calls do not give the same text.
func Rows(issuer string, now time.Time) []Row {
	m := newMaker(issuer, now)
	classes := []struct {
		name string
		rows []row
	}{
		{"algorithm", m.algorithms()},
		{"signature", m.signatures()},
		{"form", m.forms()},
		{"spelling", m.spellings()},
		{"header", m.headers()},
		{"kid", m.kids()},
		{"typ", m.types()},
		{"times", m.times()},
		{"identity", m.identities()},
		{"scope and cnf", m.grants()},
		{"claims text", m.claimsTexts()},
		{"size", m.sizes()},
		{"issuer mix-up", m.mixUps()},
	}
	var all []Row
	for _, class := range classes {
		for _, r := range class.rows {
			all = append(all, Row{class.name, r.name, r.token, r.want})
		}
	}
	return all
}

// Leak returns eight characters that text has in common with the token or with what a segment of it encodes, "" when
// there are none. The name client_id does not count: a rule may say it.
func Leak(text, token string) string {
	const window = 8
	text = strings.ReplaceAll(text, "client_id", "…")
	sources := []string{token[:min(len(token), 1<<14)]}
	for segment := range strings.SplitSeq(sources[0], ".") {
		decoded, _ := base64.RawURLEncoding.DecodeString(segment) // as much as can be decoded
		sources = append(sources, string(decoded))
	}
	for i := 0; i+window <= len(text); i++ {
		for _, source := range sources {
			if strings.Contains(source, text[i:i+window]) {
				return text[i : i+window]
			}
		}
	}
	return ""
}
