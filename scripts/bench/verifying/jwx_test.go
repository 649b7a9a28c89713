package verifying

import (
	"context"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jwt"

	"example.com/signet/keys/keystest"
)

// openJWX is jwt.Parse with a jwk.CachedSet, as the library's docs/01-jwt.md and docs/04-jwk.md have them.
func openJWX(tb testing.TB, issuer *keystest.Server) check {
	cache := jwk.NewCache(tb.Context())
	if err := cache.Register(jwksURL(issuer), jwk.WithMinRefreshInterval(15*time.Minute)); err != nil {
		tb.Fatal(err)
	}
	if _, err := cache.Refresh(tb.Context(), jwksURL(issuer)); err != nil {
		tb.Fatal(err)
	}
	set := jwk.NewCachedSet(cache, jwksURL(issuer))
	return func(ctx context.Context, token string) error {
		_, err := jwt.Parse([]byte(token),
			jwt.WithContext(ctx),
			jwt.WithKeySet(set),
			jwt.WithIssuer(issuer.Issuer()),
			jwt.WithAudience(audience),
			jwt.WithRequiredClaim(jwt.ExpirationKey),
		)
		return err
	}
}
