package verifying

import (
	"context"
	"testing"
	"time"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// openSignet verifies every token anew, as the others do.
func openSignet(tb testing.TB, issuer *keystest.Server) check {
	v := newVerifier(tb, verify.Config{Issuer: issuer.Issuer(), Audience: audience, CacheSize: -1})
	return func(ctx context.Context, token string) error {
		_, err := v.Verify(ctx, token)
		return err
	}
}

// openRemembering is the verifier as its defaults make it, with a cache of verified tokens.
func openRemembering(tb testing.TB, issuer *keystest.Server) *verify.Verifier {
	return newVerifier(tb, verify.Config{Issuer: issuer.Issuer(), Audience: audience})
}

// newVerifier returns when the verifier has fetched its keys: New does not wait for them.
func newVerifier(tb testing.TB, cfg verify.Config) *verify.Verifier {
	v, err := verify.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(v.Close)
	for deadline := time.Now().Add(10 * time.Second); v.Ready() != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatal(v.Ready())
		}
	}
	return v
}
