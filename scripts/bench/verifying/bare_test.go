package verifying

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"example.com/signet/keys/keystest"
)

// prepareBare returns the least that any verifier must do for the token: hash what is signed and check the signature,
// which is decoded already, with the key, which is parsed already.
func prepareBare(tb testing.TB, key, token string) func() bool {
	i := strings.LastIndexByte(token, '.')
	input := []byte(token[:i])
	signature, err := base64.RawURLEncoding.DecodeString(token[i+1:])
	if err != nil {
		tb.Fatal(err)
	}
	if public, ok := keystest.Raw(key).Public().(*rsa.PublicKey); ok {
		return func() bool {
			digest := sha256.Sum256(input)
			return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature) == nil
		}
	}
	public := keystest.Raw(key).Public().(*ecdsa.PublicKey)
	der, err := asn1.Marshal(struct{ R, S *big.Int }{ // RFC 7518 §3.4
		new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return func() bool {
		digest := sha256.Sum256(input)
		return ecdsa.VerifyASN1(public, digest[:], der)
	}
}
