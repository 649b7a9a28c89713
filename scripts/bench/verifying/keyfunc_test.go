package verifying

import (
	"context"
	"testing"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"

	"example.com/signet/keys/keystest"
)

// openKeyfunc is golang-jwt with keyfunc's default, as keyfunc's README has it. Unless it is told to, golang-jwt checks
// neither issuer nor audience, nor that there is an exp.
func openKeyfunc(tb testing.TB, issuer *keystest.Server) check {
	k, err := keyfunc.NewDefaultCtx(tb.Context(), []string{jwksURL(issuer)})
	if err != nil {
		tb.Fatal(err)
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"ES256", "RS256"}),
		jwt.WithIssuer(issuer.Issuer()),
		jwt.WithAudience(audience),
		jwt.WithExpirationRequired(),
	)
	return func(ctx context.Context, token string) error {
		_, err := parser.Parse(token, k.KeyfuncCtx(ctx))
		return err
	}
}
