package keys

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
)

// verifyRS256 verifies with crypto/rsa itself (RFC 7518 §3.3). The JOSE library looks for the key by reflection each
// time.
func verifyRS256(input string, signature []byte, key crypto.Signer) bool {
	public, isRSA := key.Public().(*rsa.PublicKey)
	if !isRSA {
		return false
	}
	digest := digestOf(input)
	return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature) == nil
}

// digestOf is the SHA-256 of a token's input, which is copied to the stack for it unless it is long.
func digestOf(input string) [sha256.Size]byte {
	var buf [1 << 10]byte
	return sha256.Sum256(append(buf[:0], input...))
}
