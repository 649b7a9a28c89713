package verify_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"strconv"
	"strings"
	"testing"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// Pairs for scripts/bench.sh: the whole of Verify at first sight, claims and all, and the same signature checked by
// bare crypto.
func BenchmarkVerify(b *testing.B) {
	bench := newBench(b, verify.Config{CacheSize: -1})
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
	for _, row := range []row{
		{name: "form", token: "x"},
		{name: "typ", token: bench.forge(bench.header.With("typ", `"JWT"`), bench.claims)},
		{name: "issuer", token: bench.with("iss", `"https://evil.example.com"`)},
		{name: "unknown-kid", token: bench.forge(bench.header.With("kid", `"nobody"`), bench.claims)},
		{name: "8KiB-of-text", token: bench.with("x", strings.Repeat("[", 5000))},
	} {
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bench.verifier.Verify(b.Context(), row.token); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}

// A token that was verified before, of 1,000 in rotation.
func BenchmarkSeenBefore(b *testing.B) {
	bench := newBench(b, verify.Config{})
	tokens := make([]string, 1000)
	for i := range tokens {
		tokens[i] = keystest.AccessToken(keystest.ES256, bench.claims.With("jti", strconv.Quote(rand.Text())))
		check(b, bench.verifier, tokens[i], nil)
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := bench.verifier.Verify(b.Context(), tokens[i%len(tokens)]); err != nil {
				b.Error(err)
			}
		}
	})
}
