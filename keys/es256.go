package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
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

// verifyES256 verifies with crypto/ecdsa itself (RFC 7518 §3.4): r and s in 32 octets each. The JOSE library checks
// each time that the point is on the curve, which was done when the key came in, and costs 4 %.
func verifyES256(input string, signature []byte, key crypto.Signer) bool {
	public, isEC := key.Public().(*ecdsa.PublicKey)
	if !isEC || len(signature) != 2*coordinateSize {
		return false
	}
	der := append(make([]byte, 0, maxDERSize), 0x30, 0) // SEQUENCE
	der = appendInteger(der, signature[:coordinateSize])
	der = appendInteger(der, signature[coordinateSize:])
	der[1] = byte(len(der) - 2)
	digest := digestOf(input)
	return ecdsa.VerifyASN1(public, digest[:], der)
}

const maxDERSize = 2 + 2*(3+coordinateSize)

// appendInteger appends an unsigned number as a DER INTEGER (X.690 §8.3): without leading zeros, but one where the
// first bit would make it negative.
func appendInteger(der, number []byte) []byte {
	for len(number) > 1 && number[0] == 0 {
		number = number[1:]
	}
	if number[0]&0x80 == 0 {
		return append(append(der, 2, byte(len(number))), number...)
	}
	return append(append(der, 2, byte(len(number)+1), 0), number...)
}
