package keys_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"strings"
	"testing"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// The benchmarks come in pairs: the work of this package, and the same signature made by bare crypto. scripts/bench.sh
// runs them in turn and prints each pair's ratio.

var benchPayload = []byte(`{"iss":"https://issuer.example.com","sub":"billing","aud":"https://orders.example.com",` +
	`"exp":1795428900,"iat":1795428300,"jti":"0uzpxe1xRkmWLK4qCFBXXQ","client_id":"billing","scope":"orders:read"}`)

func BenchmarkSign(b *testing.B) {
	for _, name := range []string{keystest.ES256, keystest.RS256} {
		key := keystest.Key(name)
		b.Run(string(key.Algorithm())+"/signet", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := key.Sign(keys.TypeAccessToken, benchPayload); err != nil {
					b.Fatal(err)
				}
			}
		})
		raw, input := keystest.Raw(name), signingInput(b, key)
		b.Run(string(key.Algorithm())+"/bare", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				digest := sha256.Sum256(input)
				if _, err := raw.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, name := range []string{keystest.ES256, keystest.RS256} {
		key := keystest.Key(name)
		set := keystest.Set(keystest.ES256, keystest.RS256)
		token, err := key.Sign(keys.TypeAccessToken, benchPayload)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(string(key.Algorithm())+"/signet", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := set.Verify(token); err != nil {
					b.Fatal(err)
				}
			}
		})
		input := signingInput(b, key)
		digest := sha256.Sum256(input)
		signature, err := keystest.Raw(name).Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			b.Fatal(err)
		}
		public := keystest.Raw(name).Public()
		b.Run(string(key.Algorithm())+"/bare", func(b *testing.B) {
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

// signingInput is what the signature of a token covers, so that both sides of a pair hash the same octets.
func signingInput(b *testing.B, key *keys.PrivateKey) []byte {
	token, err := key.Sign(keys.TypeAccessToken, benchPayload)
	if err != nil {
		b.Fatal(err)
	}
	return []byte(token[:strings.LastIndexByte(token, '.')])
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

func BenchmarkRefuse(b *testing.B) {
	set := keystest.Set(keystest.ES256)
	token, err := keystest.Key(keystest.ES256).Sign(keys.TypeAccessToken, benchPayload)
	if err != nil {
		b.Fatal(err)
	}
	rows := map[string]string{
		"two segments": token[:strings.LastIndexByte(token, '.')],
		"too long":     strings.Repeat("a", 1<<20),
		"million dots": strings.Repeat(".", 1<<20),
		"line break":   token + "\n",
	}
	for name, token := range rows {
		b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := set.Verify(token); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}
