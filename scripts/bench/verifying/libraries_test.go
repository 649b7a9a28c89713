package verifying

import (
	"context"
	"testing"

	"example.com/signet/keys/keystest"
)

const audience = keystest.Audience

// check verifies an access token and returns why it is refused. It is safe for concurrent use.
type check func(ctx context.Context, token string) error

// library is one way to verify the tokens of one issuer, set up as its own documentation says. What open starts ends
// with the test.
type library struct {
	name    string
	open    func(tb testing.TB, issuer *keystest.Server) check
	accepts string // the one of refusedTokens that it accepts all the same; empty: none
}

// libraries are those that are compared, bare crypto aside: it verifies no token, only a signature.
var libraries = []library{
	{name: "signet", open: openSignet},
	{name: "go-oidc", open: openGoOIDC},
	{name: "keyfunc", open: openKeyfunc},
	{name: "auth0", open: openAuth0},
	{name: "jwx", open: openJWX, accepts: "unknown-alg"}, // it goes by the key's alg and looks at no token's
}

// algorithms are the names of the issuer's keys by their algorithm.
var algorithms = []struct{ name, key string }{
	{"ES256", keystest.ES256},
	{"RS256", keystest.RS256},
}

// jwksURL is where the issuer publishes its keys. It is given to all who take it, so that nobody needs discovery.
func jwksURL(issuer *keystest.Server) string { return issuer.URL + "/.well-known/jwks.json" }
