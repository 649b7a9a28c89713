package verifying

import (
	"context"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"

	"example.com/signet/keys/keystest"
)

// openGoOIDC is what the comment of oidc.NewVerifier gives for a JWK Set by URL. It fetches with the first token, and
// again with every kid that it does not know.
func openGoOIDC(tb testing.TB, issuer *keystest.Server) check {
	verifier := oidc.NewVerifier(issuer.Issuer(), oidc.NewRemoteKeySet(tb.Context(), jwksURL(issuer)), &oidc.Config{
		ClientID:             audience,
		SupportedSigningAlgs: []string{oidc.ES256, oidc.RS256},
	})
	return func(ctx context.Context, token string) error {
		_, err := verifier.Verify(ctx, token)
		return err
	}
}
