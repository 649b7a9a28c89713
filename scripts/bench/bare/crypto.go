package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
)

// client is one that may have tokens: by a secret, of which Digest is the SHA-256, or by a key.
type client struct {
	Digest []byte `json:"digest,omitempty"`
	Key    []byte `json:"key,omitempty"` // SubjectPublicKeyInfo
	point  *ecdsa.PublicKey
}

// readClients reads a JSON object of clients by id.
func readClients(text []byte) (map[string]client, error) {
	var all map[string]client
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	for id, c := range all {
		if c.Key == nil {
			continue
		}
		key, err := x509.ParsePKIXPublicKey(c.Key)
		if err != nil {
			return nil, fmt.Errorf("key of %s: %w", id, err)
		}
		all[id] = client{point: key.(*ecdsa.PublicKey)}
	}
	return all, nil
}

func (c client) hasSecret(secret string) bool {
	digest := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(digest[:], c.Digest) == 1
}

// hasSigned takes a signature as RFC 7518 §3.4 has it: r and s, 32 octets each.
func (c client) hasSigned(digest [32]byte, signature []byte) bool {
	if c.point == nil || len(signature) != 64 {
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	return ecdsa.Verify(c.point, digest[:], r, s)
}

// newID returns a kid as long as a thumbprint (RFC 7638), so that tokens are as long as the issuer's.
func newID() string {
	sum := sha256.Sum256([]byte(rand.Text()))
	return encode(sum[:])
}

var (
	es256ID  = newID()
	rs256ID  = newID()
	esHeader = encode([]byte(`{"alg":"ES256","kid":"` + es256ID + `","typ":"at+jwt"}`))
	rsHeader = encode([]byte(`{"alg":"RS256","kid":"` + rs256ID + `","typ":"at+jwt"}`))
)

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// sign returns payload as a token with the algorithm of the resource.
func sign(audience string, payload []byte) string {
	header := rsHeader
	if audience == es256 {
		header = esHeader
	}
	token := header + "." + encode(payload)
	digest := sha256.Sum256([]byte(token))
	if audience != es256 {
		signature, _ := rsa.SignPKCS1v15(nil, rsaKey, crypto.SHA256, digest[:])
		return token + "." + encode(signature)
	}
	r, s, _ := ecdsa.Sign(rand.Reader, ecKey, digest[:])
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return token + "." + encode(signature)
}

// jwks serves the public keys, so that what was signed can be verified.
func jwks(w http.ResponseWriter, _ *http.Request) {
	point, _ := ecKey.PublicKey.Bytes() // 4, x, y
	fmt.Fprintf(w, `{"keys":[{"kty":"EC","crv":"P-256","kid":%q,"x":%q,"y":%q},`,
		es256ID, encode(point[1:33]), encode(point[33:]))
	fmt.Fprintf(w, `{"kty":"RSA","kid":%q,"n":%q,"e":"AQAB"}]}`, rs256ID, encode(rsaKey.N.Bytes()))
}
