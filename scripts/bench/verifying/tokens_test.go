package verifying

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/signet/keys/keystest"
)

// newIssuer publishes a key for each algorithm until the test ends.
func newIssuer(tb testing.TB) *keystest.Server {
	server := keystest.NewServer(keystest.Set(keystest.ES256, keystest.RS256))
	tb.Cleanup(server.Close)
	return server
}

func genuineClaims(issuer *keystest.Server) keystest.Object {
	return keystest.AccessClaims(issuer.Issuer(), audience, time.Now())
}

func genuine(issuer *keystest.Server, key string) string {
	return keystest.AccessToken(key, genuineClaims(issuer))
}

// population is n tokens that differ in their jti.
func population(issuer *keystest.Server, key string, n int) []string {
	header, claims := keystest.AccessHeader(key).String(), genuineClaims(issuer)
	tokens := make([]string, n)
	for i := range tokens {
		tokens[i] = keystest.Forge(key, header, claims.With("jti", strconv.Quote(fmt.Sprintf("token-%016d", i))).String())
	}
	return tokens
}

// refused is a token that must be refused, named after what is wrong with it.
type refused struct{ name, token string }

// refusedTokens have one fault each. Where the signature is not the fault, it is right.
func refusedTokens(issuer *keystest.Server, key string) []refused {
	header, claims := keystest.AccessHeader(key), genuineClaims(issuer)
	token := genuine(issuer, key)
	forge := func(header, claims keystest.Object) string {
		return keystest.Forge(key, header.String(), claims.String())
	}
	expired := keystest.AccessClaims(issuer.Issuer(), audience, time.Now().Add(-time.Hour))
	return []refused{
		{"form", token[:strings.LastIndexByte(token, '.')]}, // two segments
		{"none", keystest.Encode(header.With("alg", `"none"`).String()) + "." + keystest.Encode(claims.String()) + "."},
		{"unknown-kid", forge(header.With("kid", `"0000000000000000000000000000000000000000000"`), claims)},
		{"unknown-alg", forge(header.With("alg", `"XS256"`), claims)},
		{"expired", forge(header, expired)},
		{"wrong-signature", flipSignature(token)},
	}
}

// misdirected are tokens by the right key that are another issuer's, for another audience, or good for ever.
func misdirected(issuer *keystest.Server, key string) []refused {
	claims := genuineClaims(issuer)
	return []refused{
		{"audience", keystest.AccessToken(key, claims.With("aud", `"https://billing.example.com"`))},
		{"issuer", keystest.AccessToken(key, claims.With("iss", `"https://evil.example.com"`))},
		{"no-expiry", keystest.AccessToken(key, claims.Without("exp"))},
	}
}

// flipSignature changes one character in the middle of the signature, so that its spelling stays canonical.
func flipSignature(token string) string {
	i := (strings.LastIndexByte(token, '.') + len(token)) / 2
	other := "A"
	if token[i] == 'A' {
		other = "B"
	}
	return token[:i] + other + token[i+1:]
}
