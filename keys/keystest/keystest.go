// Package keystest helps tests that need keys: fixed key pairs, a JWK Set server that fails on demand, and a clock that
// the test moves. The private keys are public; nothing but a test may import this package.
package keystest

import (
	"crypto"
	"crypto/x509"
	"embed"
	"encoding/pem"

	"example.com/signet/keys"
)

//go:embed testdata/*.pem
var files embed.FS

// The fixed keys, by the name of their file. Two of each algorithm, so that a test can have a stranger's key, and two
// that must be refused.
const (
	ES256      = "es256"
	ES256Other = "es256-other"
	RS256      = "rs256"
	RS256Other = "rs256-other"
	WeakRSA    = "rsa1024"
	WrongCurve = "p384"
)

// PEM returns the PKCS#8 PEM of the named key.
func PEM(name string) []byte {
	text, err := files.ReadFile("testdata/" + name + ".pem")
	if err != nil {
		panic("keystest: no key " + name)
	}
	return text
}

// Key returns the named key. It panics for the two that must be refused.
func Key(name string) *keys.PrivateKey {
	key, err := keys.ParsePrivateKey(PEM(name))
	if err != nil {
		panic("keystest: " + err.Error())
	}
	return key
}

// Raw returns the named key as the standard library has it, for tests that forge what Signet would not sign.
func Raw(name string) crypto.Signer {
	block, _ := pem.Decode(PEM(name))
	raw, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		panic("keystest: " + err.Error())
	}
	return raw.(crypto.Signer)
}

// Set returns the set of the named keys' public halves.
func Set(names ...string) *keys.Set {
	var public []*keys.PublicKey
	for _, name := range names {
		public = append(public, Key(name).Public())
	}
	set, err := keys.NewSet(public...)
	if err != nil {
		panic("keystest: " + err.Error())
	}
	return set
}
