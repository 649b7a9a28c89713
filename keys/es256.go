package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"math/big"
)

const coordinateSize = 32 // octets of r, and of s

// signES256 signs with crypto/ecdsa itself, and with the JOSE library for a signer from outside. The library reads each
// signature that is made by reflection, which costs 7 % of it.
func signES256(input []byte, key crypto.Signer) ([]byte, error) {
	private, isStandard := key.(*ecdsa.PrivateKey)
	if !isStandard {
		return joseES256.Sign(input, key)
	}
	digest := sha256.Sum256(input)
	r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
	if err != nil {
		return nil, err
	}
	signature := make([]byte, 2*coordinateSize)
	r.FillBytes(signature[:coordinateSize])
	s.FillBytes(signature[coordinateSize:])
	return signature, nil
}

// verifyES256 verifies with crypto/ecdsa itself (RFC 7518 §3.4): r and s in 32 octets each. The JOSE library checks each
// time that the point is on the curve, which was done when the key came in, and costs 4 %.
func verifyES256(input, signature []byte, key crypto.Signer) bool {
	public, isEC := key.Public().(*ecdsa.PublicKey)
	if !isEC || len(signature) != 2*coordinateSize {
		return false
	}
	var r, s big.Int
	r.SetBytes(signature[:coordinateSize])
	s.SetBytes(signature[coordinateSize:])
	digest := sha256.Sum256(input)
	return ecdsa.Verify(public, digest[:], &r, &s)
}
