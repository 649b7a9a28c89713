package verify_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// awayCases are the two ways to be away, with and without a cache of verified tokens.
func awayCases(t *testing.T, play func(t *testing.T, v *verify.Verifier, b *bubble)) {
	t.Helper()
	for name, answer := range map[string]http.HandlerFunc{"500": status(500), "hangs": hang} {
		for cache, size := range map[string]int{"cache": 0, "no cache": -1} {
			t.Run(name+", "+cache, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b := newBubble(keystest.ES256, keystest.RS256)
					cfg := b.config()
					cfg.CacheSize = size
					v := startBubble(t, cfg)
					for range 3 {
						check(t, v, bubbleToken(keystest.ES256), nil)
					}
					b.change(func(b *bubble) { b.jwks, b.metadata = answer, answer })
					play(t, v, b)
				})
			})
		}
	}
}

// badTokens are tokens that are refused as what they are, whatever the state of the keys. The keys ES256 and RS256 are
// published.
func badTokens() []row {
	now := time.Now()
	header, claims := keystest.AccessHeader(keystest.ES256), keystest.AccessClaims(bubbleIssuer, audience, now)
	forge := func(header, claims keystest.Object) string {
		return keystest.Forge(keystest.ES256, header.String(), claims.String())
	}
	return []row{
		{"empty", "", verify.ErrMalformed},
		{"two segments", "a.b", verify.ErrMalformed},
		{"padding", forge(header, claims) + "=", verify.ErrMalformed},
		{"crit", forge(header.With("crit", `["x"]`), claims), verify.ErrMalformed},
		{"alg none", forge(header.With("alg", `"none"`), claims), verify.ErrAlgorithm},
		{"alg HS256", forge(header.With("alg", `"HS256"`), claims), verify.ErrAlgorithm},
		{"the key's other algorithm", forge(header.With("alg", `"RS256"`), claims), verify.ErrAlgorithm},
		{"typ JWT", forge(header.With("typ", `"JWT"`), claims), verify.ErrType},
		{"by another key", issuedAs(bubbleIssuer, keystest.ES256Other, header), verify.ErrSignature},
		{"another RSA key", issuedAs(bubbleIssuer, keystest.RS256Other, keystest.AccessHeader(keystest.RS256)),
			verify.ErrSignature},
		{"exp a string", forge(header, claims.With("exp", `"1"`)), verify.ErrClaims},
		{"no sub", forge(header, claims.Without("sub")), verify.ErrClaims},
		{"another issuer", forge(header, claims.With("iss", `"https://evil.example.com"`)), verify.ErrIssuer},
		{"another audience", forge(header, claims.With("aud", `"x"`)), verify.ErrAudience},
		{"expired", forge(header, claims.With("exp", fmt.Sprint(now.Add(-time.Hour).Unix()))), verify.ErrExpired},
		{"issued tomorrow", forge(header, claims.With("iat", fmt.Sprint(now.Add(24*time.Hour).Unix()))),
			verify.ErrNotYetValid},
		{"cnf", forge(header, claims.With("cnf", "{}")), verify.ErrConfirmation},
	}
}

// Issuer away for an hour of the verifier's clock: no token of a known key is refused, be it old or new, and none
// waits.
func TestAwayForAnHour(t *testing.T) {
	t.Parallel()
	awayCases(t, func(t *testing.T, v *verify.Verifier, _ *bubble) {
		old := []string{bubbleToken(keystest.ES256), bubbleToken(keystest.RS256)}
		for range 60 {
			start := time.Now()
			now := []string{issued(bubbleIssuer, keystest.ES256), issued(bubbleIssuer, keystest.RS256)}
			for _, token := range append(now, old...) {
				check(t, v, token, nil)
			}
			for _, bad := range badTokens() {
				t.Log(bad.name)
				check(t, v, bad.token, bad.want)
			}
			if took := time.Since(start); took != 0 {
				t.Errorf("took %v", took)
			}
			check(t, v, bubbleToken(keystest.ES256Other), verify.ErrUnknownKey) // may wait for a fetch that hangs
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("an unknown kid took %v", took)
			}
			if err := v.Ready(); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Minute)
		}
	})
}

// Beyond max_stale nothing good can be told from what was revoked: 503, for a token in the cache too. What is bad
// whatever the keys are stays 401. When the issuer is back, so are the keys.
func TestAwayForTooLong(t *testing.T) {
	t.Parallel()
	awayCases(t, func(t *testing.T, v *verify.Verifier, b *bubble) {
		good, short := bubbleToken(keystest.ES256), issued(bubbleIssuer, keystest.RS256)
		for range 3 { // the last time from the cache
			check(t, v, good, nil)
			check(t, v, short, nil)
		}
		time.Sleep(24*time.Hour - time.Minute)
		check(t, v, good, nil)
		time.Sleep(time.Hour)
		for range 3 {
			start := time.Now()
			check(t, v, good, verify.ErrUnavailable)
			check(t, v, issued(bubbleIssuer, keystest.RS256), verify.ErrUnavailable)
			check(t, v, short, verify.ErrExpired)
			for _, bad := range badTokens() {
				t.Log(bad.name)
				check(t, v, bad.token, bad.want)
			}
			wantError(t, v.Ready(), verify.ErrUnavailable)
			if took := time.Since(start); took != 0 {
				t.Errorf("took %v", took)
			}
			time.Sleep(time.Hour)
		}
		b.change(func(b *bubble) { b.jwks, b.metadata = nil, nil })
		time.Sleep(80 * time.Second) // a fetch that hangs, and a minute to the next attempt
		synctest.Wait()
		check(t, v, good, nil)
		if err := v.Ready(); err != nil {
			t.Error(err)
		}
	})
}

// Before the first keys came it is 503 for what might be good, and 401 for what is bad without any key.
func TestAwayFromTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(keystest.ES256)
		b.jwks = status(500)
		v := startBubble(t, b.config())
		keyless := map[error]bool{verify.ErrMalformed: true, verify.ErrType: true, verify.ErrIssuer: true}
		check(t, v, bubbleToken(keystest.ES256), verify.ErrUnavailable)
		for _, bad := range badTokens() {
			if keyless[bad.want] {
				check(t, v, bad.token, bad.want)
			}
		}
		wantError(t, v.Ready(), verify.ErrUnavailable)
	})
}
