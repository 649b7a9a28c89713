package keys

import (
	"crypto"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// Algorithm is a JWS signature algorithm that Signet supports (RFC 7518 §3.1). The zero value is no algorithm.
type Algorithm string

// The algorithms. There are no others: a token, a key or a setting that names another one is refused.
const (
	ES256 Algorithm = "ES256" // ECDSA on P-256 with SHA-256 (RFC 7518 §3.4)
	RS256 Algorithm = "RS256" // RSASSA-PKCS1-v1_5 with SHA-256, 2048 bits or more (RFC 7518 §3.3)
)

// Algorithms returns every supported algorithm, the recommended one first. The caller owns the slice.
func Algorithms() []Algorithm { return []Algorithm{ES256, RS256} }

// ParseAlgorithm returns the algorithm that name spells exactly, or an error that wraps [ErrAlgorithm].
func ParseAlgorithm(name string) (Algorithm, error) {
	switch alg := Algorithm(name); alg {
	case ES256, RS256:
		return alg, nil
	}
	return "", fmt.Errorf("%w: %.20q is not one of %v", ErrAlgorithm, name, Algorithms())
}

// scheme is how one algorithm signs and verifies raw bytes. Both halves are stateless and shared.
type scheme struct {
	sign   func(input []byte, key crypto.Signer) ([]byte, error)
	verify func(input string, signature []byte, key crypto.Signer) bool // key is a publicOnly
}

var (
	joseES256 = joseSigner(jwa.ES256)
	joseRS256 = joseSigner(jwa.RS256)

	schemes = map[Algorithm]scheme{
		ES256: {sign: signES256, verify: verifyES256},
		RS256: {
			sign:   func(input []byte, key crypto.Signer) ([]byte, error) { return joseRS256.Sign(input, key) },
			verify: verifyRS256,
		},
	}
)

func joseSigner(alg jwa.SignatureAlgorithm) jws.Signer {
	signer, err := jws.NewSigner(alg)
	if err != nil {
		panic("keys: no signer for " + alg.String())
	}
	return signer
}
