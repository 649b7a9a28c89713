package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// PrivateKey is a key that signs. It has proved itself: it signed, and its public half verified. It is immutable and
// safe for concurrent use. Printing or logging it shows its algorithm and kid, never the key.
type PrivateKey struct {
	public  *PublicKey
	signer  crypto.Signer
	headers map[Type]string // the encoded header for each type of token
}

// checkedSigner is an ECDSA signer from outside, such as a driver for a key in hardware. The JOSE library panics on a
// signature whose numbers are too large for the curve, so none leaves that does not verify.
type checkedSigner struct {
	crypto.Signer
	public *ecdsa.PublicKey
}

func (s checkedSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	signature, err := s.Signer.Sign(random, digest, opts)
	if err == nil && !ecdsa.VerifyASN1(s.public, digest, signature) {
		err = errors.New("the signer's answer does not verify")
	}
	return signature, err
}

// GenerateKey makes a new key: P-256 for [ES256], 2048 bits for [RS256]. Another algorithm is an [ErrAlgorithm].
func GenerateKey(alg Algorithm) (*PrivateKey, error) {
	raw, err := generateRaw(alg)
	if err != nil {
		return nil, err
	}
	return NewPrivateKey(raw)
}

func generateRaw(alg Algorithm) (crypto.Signer, error) {
	switch alg {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256:
		return rsa.GenerateKey(rand.Reader, minRSABits)
	}
	_, err := ParseAlgorithm(string(alg))
	return nil, err
}

// NewPrivateKey returns signer as a key under the kid that RFC 7638 derives from its public half, after proving the
// pair. Signer may be any implementation whose public key [NewPublicKey] accepts; it must be safe for concurrent use.
// A signer that does not prove itself is an [ErrKey].
func NewPrivateKey(signer crypto.Signer) (*PrivateKey, error) { return newPrivateKey(signer, "") }

// newPrivateKey is [NewPrivateKey] with another kid, unless that is empty.
func newPrivateKey(signer crypto.Signer, kid string) (*PrivateKey, error) {
	public, err := NewPublicKey(signer.Public())
	if err != nil {
		return nil, err
	}
	if kid != "" {
		public.id = kid
	}
	key := &PrivateKey{public: public, signer: signer, headers: encodeHeaders(public)}
	_, isStandard := signer.(*ecdsa.PrivateKey)
	if point, isEC := public.raw.Public().(*ecdsa.PublicKey); isEC && !isStandard {
		key.signer = checkedSigner{signer, point}
	}
	if err := key.prove(); err != nil {
		return nil, err
	}
	return key, nil
}

// prove signs and verifies once, so that a damaged or mismatched pair is found when it is loaded and not by a caller.
func (k *PrivateKey) prove() error {
	probe := []byte("signet: this key signs and its public half verifies")
	signature, err := k.sign(probe)
	if err != nil {
		return fmt.Errorf("%w: proving the pair: %w", ErrKey, err)
	}
	if !k.public.verify(string(probe), signature) {
		return fmt.Errorf("%w: its public half does not verify what it signs", ErrKey)
	}
	return nil
}

// Public returns the public half.
func (k *PrivateKey) Public() *PublicKey { return k.public }

// ID returns the kid.
func (k *PrivateKey) ID() string { return k.public.id }

// Algorithm returns the only algorithm that the key signs with.
func (k *PrivateKey) Algorithm() Algorithm { return k.public.alg }

// MarshalPEM returns the key as PKCS#8 PEM (RFC 7468 §10). It fails for a signer whose key cannot be taken out.
func (k *PrivateKey) MarshalPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.signer)
	if err != nil {
		return nil, fmt.Errorf("%w: encoding: %w", ErrKey, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// String names the key by algorithm and kid. It and the next two methods are on the value, so that a copy of a key is
// as discreet as a pointer to it.
func (k PrivateKey) String() string { return k.public.String() }

// Format writes String for every verb, %#v too.
func (k PrivateKey) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, k.String()) }

// LogValue shows the key as String does.
func (k PrivateKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

func (k *PrivateKey) sign(input []byte) ([]byte, error) {
	return schemes[k.public.alg].sign(input, k.signer)
}
