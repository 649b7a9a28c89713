//go:build linux

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"strings"
)

func readKey(file string) (crypto.PublicKey, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("reading %q: no PEM", file)
	}
	return x509.ParsePKIXPublicKey(block.Bytes)
}

// verifyBare lets the requests through whose token the key has signed. It reads neither header nor claims: it is the
// least that a signature costs, and not for use.
func verifyBare(key crypto.PublicKey, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := r.Header.Get("Token")
		dot := max(0, strings.LastIndexByte(token, '.'))
		signature, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token[dot:], "."))
		digest := sha256.Sum256([]byte(token[:dot]))
		if err != nil || !hasSigned(key, digest[:], signature) {
			http.Error(w, "refused", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func hasSigned(key crypto.PublicKey, digest, signature []byte) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest, signature) == nil
	case *ecdsa.PublicKey: // RFC 7518 §3.4: r and s, 32 octets each
		if len(signature) != 64 {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		return ecdsa.Verify(key, digest, r, s)
	}
	return false
}
