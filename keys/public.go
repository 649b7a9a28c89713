package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// Limits on RSA keys. The lower one is RFC 7518 §3.3; the upper ones keep a foreign key from making a verification
// expensive.
const (
	minRSABits     = 2048
	maxRSABits     = 8192
	maxRSAExponent = 1<<31 - 1
)

// PublicKey is a public key that fits its algorithm, with the name (kid) that tokens know it by. It is immutable and
// safe for concurrent use.
type PublicKey struct {
	id  string
	alg Algorithm
	raw crypto.Signer // publicOnly of an *ecdsa.PublicKey or *rsa.PublicKey
}

// publicOnly offers a public key in the shape of a crypto.Signer that cannot sign. The JOSE library takes a key out of
// that shape at once, and out of any other by reflection.
type publicOnly struct{ crypto.PublicKey }

func (k publicOnly) Public() crypto.PublicKey { return k.PublicKey }

func (publicOnly) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("a public key cannot sign")
}

// NewPublicKey returns raw, an *ecdsa.PublicKey on P-256 or an *rsa.PublicKey of 2048 to 8192 bits, under the kid that
// RFC 7638 derives from it (SHA-256). The algorithm follows from the type. Anything else is an [ErrKey]. The caller
// must not change raw afterwards.
func NewPublicKey(raw crypto.PublicKey) (*PublicKey, error) {
	alg, err := algorithmOf(raw)
	if err != nil {
		return nil, err
	}
	id, err := thumbprint(raw)
	if err != nil {
		return nil, err
	}
	return &PublicKey{id: id, alg: alg, raw: publicOnly{raw}}, nil
}

// ParsePublicKey reads one PEM block of type PUBLIC KEY (SubjectPublicKeyInfo, RFC 7468 §13) as [NewPublicKey] does.
func ParsePublicKey(text []byte) (*PublicKey, error) {
	block, err := onlyBlock(text)
	if err != nil {
		return nil, err
	}
	if block.Type != "PUBLIC KEY" {
		return nil, fmt.Errorf("%w: PEM block %.40q, want %q", ErrKey, block.Type, "PUBLIC KEY")
	}
	raw, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: parsing PUBLIC KEY: %w", ErrKey, err)
	}
	return NewPublicKey(raw)
}

// ID returns the kid.
func (k *PublicKey) ID() string { return k.id }

// Algorithm returns the only algorithm that the key verifies.
func (k *PublicKey) Algorithm() Algorithm { return k.alg }

// Equal reports whether both are the same key under the same kid.
func (k *PublicKey) Equal(other *PublicKey) bool {
	type comparable interface{ Equal(crypto.PublicKey) bool }
	return k.id == other.id && k.raw.Public().(comparable).Equal(other.raw.Public())
}

// String names the key by algorithm and kid.
func (k *PublicKey) String() string { return string(k.alg) + " " + k.id }

// MarshalPEM returns the key as a PEM block of type PUBLIC KEY.
func (k *PublicKey) MarshalPEM() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(k.raw.Public())
	if err != nil {
		return nil, fmt.Errorf("%w: encoding: %w", ErrKey, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// verify reports whether signature is the key's over input.
func (k *PublicKey) verify(input string, signature []byte) bool {
	return schemes[k.alg].verify(input, signature, k.raw)
}

// algorithmOf returns the one algorithm that raw is for, after checking that raw is strong enough and well formed.
func algorithmOf(raw crypto.PublicKey) (Algorithm, error) {
	switch raw := raw.(type) {
	case *ecdsa.PublicKey:
		return ES256, checkEC(raw)
	case *rsa.PublicKey:
		return RS256, checkRSA(raw)
	}
	return "", fmt.Errorf("%w: type %T is neither ECDSA nor RSA", ErrKey, raw)
}

func checkEC(raw *ecdsa.PublicKey) error {
	if raw == nil || raw.Curve != elliptic.P256() {
		return fmt.Errorf("%w: curve is not P-256", ErrKey)
	}
	//lint:ignore SA1019 the conversion below panics when they are missing, and nothing else tells
	if raw.X == nil || raw.Y == nil {
		return fmt.Errorf("%w: point not on P-256", ErrKey)
	}
	if _, err := raw.ECDH(); err != nil { // the conversion checks that the point is on the curve
		return fmt.Errorf("%w: point not on P-256", ErrKey)
	}
	return nil
}

func checkRSA(raw *rsa.PublicKey) error {
	if raw == nil || raw.N == nil {
		return fmt.Errorf("%w: RSA without a modulus", ErrKey)
	}
	if bits := raw.N.BitLen(); bits < minRSABits || bits > maxRSABits {
		return fmt.Errorf("%w: RSA of %d bits, want %d to %d", ErrKey, bits, minRSABits, maxRSABits)
	}
	if raw.E < 3 || raw.E > maxRSAExponent || raw.E%2 == 0 || raw.N.Bit(0) == 0 {
		return fmt.Errorf("%w: RSA exponent or modulus out of range", ErrKey)
	}
	return nil
}

// thumbprint is the RFC 7638 SHA-256 thumbprint in base64url.
func thumbprint(raw crypto.PublicKey) (string, error) {
	key, err := jwk.FromRaw(raw)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrKey, err)
	}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("%w: computing thumbprint: %w", ErrKey, err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}
