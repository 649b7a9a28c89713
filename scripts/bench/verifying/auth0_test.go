package verifying

import (
	"context"
	"errors"
	"net/url"
	"testing"

	jwtmiddleware "github.com/auth0/go-jwt-middleware/v3"
	"github.com/auth0/go-jwt-middleware/v3/jwks"
	"github.com/auth0/go-jwt-middleware/v3/validator"

	"example.com/signet/keys/keystest"
)

func openAuth0(tb testing.TB, issuer *keystest.Server) check {
	v := newAuth0Validator(tb, issuer)
	return func(ctx context.Context, token string) error {
		_, err := v.ValidateToken(ctx, token)
		return err
	}
}

// newAuth0Validator is the README's production example.
func newAuth0Validator(tb testing.TB, issuer *keystest.Server) *validator.Validator {
	issuerURL, err := url.Parse(issuer.Issuer())
	if err != nil {
		tb.Fatal(err)
	}
	address, err := url.Parse(jwksURL(issuer))
	if err != nil {
		tb.Fatal(err)
	}
	provider, err := jwks.NewCachingProvider(jwks.WithIssuerURL(issuerURL), jwks.WithCustomJWKSURI(address))
	if err != nil {
		tb.Fatal(err)
	}
	v, err := validator.New(
		validator.WithKeyFunc(provider.KeyFunc),
		validator.WithAlgorithms([]validator.SignatureAlgorithm{validator.ES256, validator.RS256}),
		validator.WithIssuer(issuer.Issuer()),
		validator.WithAudience(audience),
		validator.WithRegisteredClaimsValidator(requireExpiry),
	)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// requireExpiry is from the comment of WithRegisteredClaimsValidator: without it a token that has no exp is accepted.
func requireExpiry(claims validator.RegisteredClaims) error {
	if claims.Expiry == 0 {
		return errors.New("expiry is required")
	}
	return nil
}

func newAuth0Middleware(tb testing.TB, issuer *keystest.Server) *jwtmiddleware.JWTMiddleware {
	middleware, err := jwtmiddleware.New(jwtmiddleware.WithValidator(newAuth0Validator(tb, issuer)))
	if err != nil {
		tb.Fatal(err)
	}
	return middleware
}
