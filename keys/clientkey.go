package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ReadClientKey reads the private key of a client in the file at path, as [ParseClientKey] does, under the conditions
// of [ReadPrivateKey].
func ReadClientKey(path string) (*PrivateKey, error) {
	text, err := readFile(path, checkPrivateMode)
	if err != nil {
		return nil, err
	}
	key, err := ParseClientKey(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return key, nil
}

// ParseClientKey reads one private key: PEM as [ParsePrivateKey] does, or a JWK (RFC 7517 §4) of type EC on P-256 or
// RSA with its primes (RFC 7518 §6.2.2, §6.3.2). A JWK keeps its own kid, for that is the name by which an issuer knows
// it, and without one has that of RFC 7638; its alg, use and key_ops may be absent and must fit where they are not.
// Anything else is an [ErrKey], which holds nothing of the key.
func ParseClientKey(text []byte) (*PrivateKey, error) {
	trimmed := trimJSONSpace(text)
	if len(trimmed) == 0 || trimmed[0] != '{' {
		return ParsePrivateKey(text)
	}
	var m jwkMembers
	if err := DecodeObject(trimmed, &m); err != nil {
		return nil, fmt.Errorf("%w: not a strict JSON object of JWK members", ErrKey)
	}
	if err := m.checkSigning(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	signer, err := m.signer()
	switch {
	case errors.Is(err, ErrKey):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	key, err := newPrivateKey(signer, m.Kid)
	if err != nil {
		return nil, err
	}
	if m.Alg != "" && m.Alg != string(key.Algorithm()) {
		return nil, fmt.Errorf("%w: alg %s does not fit a key for %s", ErrKey, quoted(m.Alg), key.Algorithm())
	}
	return key, nil
}

func (m *jwkMembers) checkSigning() error {
	switch {
	case m.K != nil || m.Kty == "oct":
		return errors.New("symmetric")
	case m.D == nil:
		return errors.New("this is a public key, a private key is needed")
	case m.Oth != nil:
		return errors.New("RSA of more than two primes")
	case len(m.Kid) > maxKeyIDSize || strings.ContainsFunc(m.Kid, isUnprintable):
		return errors.New("kid is too long or not printable")
	case m.Use != "" && m.Use != "sig":
		return fmt.Errorf("use is %s, not sig", quoted(m.Use))
	case m.KeyOps != nil && !slices.Contains(m.KeyOps, "sign"):
		return errors.New("key_ops is without sign")
	}
	return nil
}

func (m *jwkMembers) signer() (crypto.Signer, error) {
	switch m.Kty {
	case "EC":
		return m.signerEC()
	case "RSA":
		return m.signerRSA()
	}
	return nil, fmt.Errorf("kty is %s, neither EC nor RSA", quoted(m.Kty))
}

// quoted keeps out of an error what is too long for a name: it may be part of a key that got into the wrong member.
func quoted(name string) string {
	if len(name) > 20 {
		return "too long"
	}
	return strconv.Quote(name)
}

func (m *jwkMembers) signerEC() (crypto.Signer, error) {
	public, err := m.rawEC()
	if err != nil {
		return nil, err
	}
	d, ok := octets(m.D)
	if !ok || len(d) != coordinateSize {
		return nil, errors.New("d is not 32 octets")
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d)
	if err != nil {
		return nil, errors.New("d is out of range")
	}
	if !key.PublicKey.Equal(public) {
		return nil, errors.New("x and y are not of the key that d is")
	}
	return key, nil
}

func (m *jwkMembers) signerRSA() (crypto.Signer, error) {
	public, err := m.rawRSA()
	if err != nil {
		return nil, err
	}
	if err := checkRSA(public); err != nil {
		return nil, err
	}
	d, okD := number(m.D)
	p, okP := number(m.P)
	q, okQ := number(m.Q)
	if !okD || !okP || !okQ {
		return nil, errors.New("RSA without d, p or q, or with one that is malformed")
	}
	key := &rsa.PrivateKey{PublicKey: *public, D: d, Primes: []*big.Int{p, q}}
	if err := key.Validate(); err != nil {
		return nil, errors.New("the RSA numbers do not fit one another")
	}
	key.Precompute()
	return key, nil
}

// number reads a number without leading zeros (RFC 7518 §2 Base64urlUInt).
func number(member jsontext.Value) (*big.Int, bool) {
	text, ok := octets(member)
	return new(big.Int).SetBytes(text), ok && text[0] != 0
}

// octets reads a member that is a string of base64url, not empty and not longer than a number of the largest key.
func octets(member jsontext.Value) ([]byte, bool) {
	var text string
	if err := json.Unmarshal(member, &text); member == nil || err != nil || text == "" {
		return nil, false
	}
	decoded, err := decodeMember(text)
	return decoded, err == nil && len(decoded) <= maxRSABits/8
}
