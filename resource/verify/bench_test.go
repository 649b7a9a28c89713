package verify_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"strings"
	"testing"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// Pairs for scripts/bench.sh: the whole of Verify, claims and all, and the same signature checked by bare crypto.
func BenchmarkVerify(b *testing.B) {
	bench := newBench(b, verify.Config{})
	for _, name := range []string{keystest.ES256, keystest.RS256} {
		alg := string(keystest.Key(name).Algorithm())
		token := keystest.AccessToken(name, bench.claims)
		b.Run(alg+"/signet", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bench.verifier.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
		input := []byte(token[:strings.LastIndexByte(token, '.')])
		digest := sha256.Sum256(input)
		signature, err := keystest.Raw(name).Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			b.Fatal(err)
		}
		public := keystest.Raw(name).Public()
		b.Run(alg+"/bare", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				digest := sha256.Sum256(input)
				if !verifyBare(public, digest[:], signature) {
					b.Fatal("not verified")
				}
			}
		})
	}
}

func verifyBare(public crypto.PublicKey, digest, signature []byte) bool {
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(public, digest, signature)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest, signature) == nil
	}
	return false
}

// What anybody can send without a key must stay cheap.
func BenchmarkRefuse(b *testing.B) {
	bench := newBench(b, verify.Config{})
	for name, token := range map[string]string{
		"form":         "x",
		"typ":          bench.forge(bench.header.With("typ", `"JWT"`), bench.claims),
		"issuer":       bench.with("iss", `"https://evil.example.com"`),
		"unknown-kid":  bench.forge(bench.header.With("kid", `"nobody"`), bench.claims),
		"8KiB-of-text": bench.with("x", strings.Repeat("[", 5000)),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bench.verifier.Verify(b.Context(), token); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}
