package verifying

import (
	"sync/atomic"
	"testing"

	"example.com/signet/keys/keystest"
)

// live is how many tokens are in use at a time.
const live = 1000

// Tokens that were verified a moment ago. Each goroutine goes round all of them from a place of its own.
func BenchmarkSeenBefore(b *testing.B) {
	issuer := newIssuer(b)
	verifier := openRemembering(b, issuer)
	tokens := population(issuer, keystest.ES256, live)
	for _, token := range tokens {
		if _, err := verifier.Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("signet", func(b *testing.B) {
		ctx := b.Context()
		var goroutines atomic.Int64
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := int(goroutines.Add(1)) * live / 3; pb.Next(); i++ {
				if _, err := verifier.Verify(ctx, tokens[i%live]); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}
