package verifying

import (
	"strings"
	"testing"

	"example.com/signet/keys/keystest"
)

// A comparison is of things that work: each library accepts the genuine token, before and after, and refuses each
// fault. What one is known to accept must be said in libraries, and still be so.
func TestLibraries(t *testing.T) {
	for _, library := range libraries {
		for _, alg := range algorithms {
			t.Run(library.name+"/"+alg.name, func(t *testing.T) {
				issuer := newIssuer(t)
				verify := library.open(t, issuer)
				token := genuine(issuer, alg.key)
				if err := verify(t.Context(), token); err != nil {
					t.Errorf("genuine token refused: %v", err)
				}
				for _, row := range append(refusedTokens(issuer, alg.key), misdirected(issuer, alg.key)...) {
					accepted := verify(t.Context(), row.token) == nil
					if accepted != (row.name == library.accepts) {
						t.Errorf("%s accepted: %v", row.name, accepted)
					}
				}
				if err := verify(t.Context(), token); err != nil {
					t.Errorf("genuine token refused at the end: %v", err)
				}
			})
		}
	}
}

// The bare work is the whole of a signature's check.
func TestBare(t *testing.T) {
	issuer := newIssuer(t)
	for _, alg := range algorithms {
		token := genuine(issuer, alg.key)
		stranger := keystest.ES256Other
		if alg.key == keystest.RS256 {
			stranger = keystest.RS256Other
		}
		rows := []struct {
			name, key, token string
			want             bool
		}{
			{"genuine", alg.key, token, true},
			{"flipped signature", alg.key, flipSignature(token), false},
			{"another payload", alg.key, strings.Replace(token, ".", ".A", 1), false},
			{"a stranger's key", stranger, token, false},
		}
		for _, row := range rows {
			if got := prepareBare(t, row.key, row.token)(); got != row.want {
				t.Errorf("%s %s: %v", alg.name, row.name, got)
			}
		}
	}
}
