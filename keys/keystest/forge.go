package keystest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
)

// Encode is base64url without padding, the way a token is spelled.
func Encode[T ~string | ~[]byte](data T) string {
	return base64.RawURLEncoding.EncodeToString([]byte(data))
}

// Forge returns header and payload as a compact token, genuinely signed by the named key whatever they say: for tokens
// that nothing but the rule under test can refuse.
func Forge[T ~string | ~[]byte](name string, header, payload T) string {
	input := Encode(header) + "." + Encode(payload)
	return input + "." + Encode(SignRaw(name, input))
}

// SignRaw signs input as ES256 or RS256 would, depending on the named key's type (RFC 7518 §3.3, §3.4).
func SignRaw(name, input string) []byte {
	digest := sha256.Sum256([]byte(input))
	raw := Raw(name)
	signature, err := raw.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		panic("keystest: " + err.Error())
	}
	key, isEC := raw.Public().(*ecdsa.PublicKey)
	if _, isRSA := raw.Public().(*rsa.PublicKey); isRSA || !isEC {
		return signature
	}
	r, s := SplitDER(signature)
	size := (key.Params().BitSize + 7) / 8
	return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
}

// SplitDER returns the two numbers of an ECDSA signature in DER.
func SplitDER(signature []byte) (r, s *big.Int) {
	var pair struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(signature, &pair); err != nil {
		panic("keystest: " + err.Error())
	}
	return pair.R, pair.S
}
