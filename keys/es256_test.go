package keys_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	cryptorand "crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// verifies reports what Set.Verify says of a signature over input, the first two segments of a token.
func verifies(t *testing.T, set *keys.Set, input string, signature []byte) bool {
	t.Helper()
	_, err := set.Verify(input + "." + keystest.Encode(signature))
	if err != nil {
		wantError(t, err, keys.ErrSignature, "")
	}
	return err == nil
}

// inputFor is what a token of the named key has before its signature; size is how long it is to be.
func inputFor(name string, size int) string {
	input := keystest.Encode(header(string(keystest.Key(name).Algorithm()), name)) + "."
	return input + strings.Repeat("A", max(size-len(input), 0)/4*4)
}

// ES256 verifies numbers that it hands over in DER. What it says is what crypto/ecdsa says of the numbers themselves.
func TestES256Numbers(t *testing.T) {
	t.Parallel()
	public, set := rawEC(keystest.ES256).Public().(*ecdsa.PublicKey), keystest.Set(keystest.ES256)
	input := inputFor(keystest.ES256, 0)
	digest := sha256.Sum256([]byte(input))
	signature := keystest.SignRaw(keystest.ES256, input)
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])

	one, n := big.NewInt(1), elliptic.P256().Params().N
	edge := new(big.Int).Lsh(one, 256)
	numbers := []*big.Int{
		r, s, new(big.Int), one, big.NewInt(0x7f), big.NewInt(0x80), big.NewInt(0xff), big.NewInt(0x100),
		new(big.Int).Lsh(one, 247), new(big.Int).Lsh(one, 248), new(big.Int).Lsh(one, 255),
		new(big.Int).Sub(new(big.Int).Lsh(one, 255), one),
		new(big.Int).Sub(n, one), n, new(big.Int).Add(n, one), new(big.Int).Sub(n, s), new(big.Int).Sub(n, r),
		new(big.Int).Sub(edge, one), elliptic.P256().Params().P,
	}
	accepted := 0
	for _, a := range numbers {
		for _, b := range numbers {
			want := ecdsa.Verify(public, digest[:], a, b)
			if got := verifies(t, set, input, slices.Concat(fixed(a, 32), fixed(b, 32))); got != want {
				t.Errorf("%v for r %x, s %x; crypto/ecdsa says %v", got, a, b, want)
			}
			if want {
				accepted++
			}
		}
	}
	if accepted != 2 { // s and n-s: ECDSA has two signatures for each
		t.Errorf("%d of the pairs verify", accepted)
	}
}

// A genuine signature verifies however its numbers begin: with zeros, which DER leaves out, or with a bit that would
// make them negative there.
func TestES256Beginnings(t *testing.T) {
	t.Parallel()
	set, input := keystest.Set(keystest.ES256), inputFor(keystest.ES256, 0)
	wanted := map[string]func(r, s []byte) bool{
		"r with a zero":             func(r, _ []byte) bool { return r[0] == 0 },
		"s with a zero":             func(_, s []byte) bool { return s[0] == 0 },
		"r with a zero and a bit":   func(r, _ []byte) bool { return r[0] == 0 && r[1] >= 0x80 },
		"r with a zero and no bit":  func(r, _ []byte) bool { return r[0] == 0 && r[1] < 0x80 },
		"both with a bit":           func(r, s []byte) bool { return r[0] >= 0x80 && s[0] >= 0x80 },
		"neither with a bit":        func(r, s []byte) bool { return r[0] < 0x80 && s[0] < 0x80 },
		"r with a bit, s without":   func(r, s []byte) bool { return r[0] >= 0x80 && s[0] < 0x80 },
		"r without, s with a bit":   func(r, s []byte) bool { return r[0] < 0x80 && s[0] >= 0x80 },
		"s with a zero and a bit":   func(_, s []byte) bool { return s[0] == 0 && s[1] >= 0x80 },
		"s that ends in a zero":     func(_, s []byte) bool { return s[31] == 0 },
		"r that ends in a zero bit": func(r, _ []byte) bool { return r[31]&1 == 0 },
	}
	for tries := 0; len(wanted) > 0; tries++ {
		if tries == 100_000 {
			t.Fatalf("not met: %d kinds", len(wanted))
		}
		signature := keystest.SignRaw(keystest.ES256, input)
		for name, is := range wanted {
			if !is(signature[:32], signature[32:]) {
				continue
			}
			delete(wanted, name)
			if !verifies(t, set, input, signature) {
				t.Errorf("%s: refused: %x", name, signature)
			}
			if signature[40] ^= 1; verifies(t, set, input, signature) {
				t.Errorf("%s: accepted with another bit: %x", name, signature)
			}
			signature[40] ^= 1
		}
	}
}

// keyFor returns the key, named k, for which a signature over input has this s: r is that of the nonce 7, and the key
// follows from the equation of ECDSA.
func keyFor(t *testing.T, input string, s *big.Int) (key *keys.PublicKey, signature []byte) {
	t.Helper()
	n, nonce := elliptic.P256().Params().N, big.NewInt(7)
	r := new(big.Int).SetBytes(publicOf(t, nonce)[1:33])
	digest := sha256.Sum256([]byte(input))
	d := new(big.Int).Mul(s, nonce) // s = (e + r d) / nonce
	d.Sub(d, new(big.Int).SetBytes(digest[:]))
	d.Mul(d, new(big.Int).ModInverse(r, n)).Mod(d, n)
	point := publicOf(t, d)
	key = must(keys.ParseJWK([]byte(jwkWith(t, keystest.ES256, map[string]any{
		"kid": "k", "x": keystest.Encode(point[1:33]), "y": keystest.Encode(point[33:]),
	}))))
	return key, slices.Concat(fixed(r, 32), fixed(s, 32))
}

// publicOf is the public point of a private number (SEC 1 §2.3.3).
func publicOf(t *testing.T, d *big.Int) []byte {
	t.Helper()
	return must(must(ecdsa.ParseRawPrivateKey(elliptic.P256(), fixed(d, 32))).PublicKey.Bytes())
}

// Signatures that no test would live to see by chance: their s has any number of zeros in front.
func TestES256SmallNumbers(t *testing.T) {
	t.Parallel()
	input := keystest.Encode(`{"alg":"ES256","kid":"k"}`) + ".e30"
	for size := range 256 {
		for _, s := range []*big.Int{
			new(big.Int).Lsh(big.NewInt(1), uint(size)),                                               // one bit
			new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(size)+1), big.NewInt(1)),            // as many ones
			new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).Lsh(big.NewInt(1), uint(size))), // near the top
		} {
			if s.Cmp(elliptic.P256().Params().N) >= 0 {
				continue
			}
			key, signature := keyFor(t, input, s)
			if set := must(keys.NewSet(key)); !verifies(t, set, input, signature) {
				t.Errorf("refused for s %x", s)
			}
		}
	}
}

func TestES256Lengths(t *testing.T) {
	t.Parallel()
	set, input := keystest.Set(keystest.ES256), inputFor(keystest.ES256, 0)
	good := keystest.SignRaw(keystest.ES256, input)
	der := func() []byte {
		digest := sha256.Sum256([]byte(input))
		return must(keystest.Raw(keystest.ES256).Sign(cryptorand.Reader, digest[:], crypto.SHA256))
	}()
	rows := []struct {
		name      string
		signature []byte
	}{
		{"one octet", good[:1]},
		{"32 octets", good[:32]},
		{"63 octets", good[:63]},
		{"63 octets, the first gone", good[1:]},
		{"65 octets", append(slices.Clone(good), 0)},
		{"65 octets, a zero first", append([]byte{0}, good...)},
		{"65 octets, a zero in the middle", slices.Concat(good[:32], []byte{0}, good[32:])},
		{"66 octets, a zero before each", slices.Concat([]byte{0}, good[:32], []byte{0}, good[32:])},
		{"96 octets, as of P-384", slices.Concat(make([]byte, 16), good[:32], make([]byte, 16), good[32:])},
		{"128 octets, twice the same", append(slices.Clone(good), good...)},
		{"DER", der},
		{"DER, filled up", append(slices.Clone(der), make([]byte, 128-len(der))...)},
		{"r and s exchanged", append(slices.Clone(good[32:]), good[:32]...)},
		{"the octets in the other order", func() []byte { b := slices.Clone(good); slices.Reverse(b); return b }()},
		{"64 octets of DER", der[:64]},
		{"zeros", make([]byte, 64)},
		{"ones", bytes.Repeat([]byte{0xff}, 64)},
		{"of RS256", keystest.SignRaw(keystest.RS256, input)},
		{"of another key", keystest.SignRaw(keystest.ES256Other, input)},
		{"of another input", keystest.SignRaw(keystest.ES256, input+"A")},
	}
	if !verifies(t, set, input, good) {
		t.Fatal("refuses the genuine one")
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if verifies(t, set, input, row.signature) {
				t.Errorf("accepted: %x", row.signature)
			}
		})
	}
}

func TestES256Random(t *testing.T) {
	t.Parallel()
	public, set := rawEC(keystest.ES256).Public().(*ecdsa.PublicKey), keystest.Set(keystest.ES256)
	random := rand.New(rand.NewPCG(1, 2))
	input := inputFor(keystest.ES256, 0)
	digest := sha256.Sum256([]byte(input))
	good := keystest.SignRaw(keystest.ES256, input)
	for range 300 {
		signature := slices.Clone(good)
		for i := random.IntN(64); i < 64; i += 1 + random.IntN(64) { // from one octet to many, most of them nought
			signature[i] = byte(random.IntN(256)) * byte(random.IntN(2))
		}
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		if got, want := verifies(t, set, input, signature), ecdsa.Verify(public, digest[:], r, s); got != want {
			t.Errorf("%v for %x; crypto/ecdsa says %v", got, signature, want)
		}
	}
}

// rs256 is the number that RSA makes of a padded message: for what no honest signer makes.
func rs256(message []byte) []byte {
	private := rawRSA(keystest.RS256)
	signature := new(big.Int).Exp(new(big.Int).SetBytes(message), private.D, private.N)
	return fixed(signature, private.Size())
}

// padded is PKCS #1 v1.5 padding (RFC 8017 §9.2) around text, with as many octets of filling as it takes.
func padded(filling byte, text ...[]byte) []byte {
	inner := slices.Concat(text...)
	size := rawRSA(keystest.RS256).Size()
	return slices.Concat([]byte{0, 1}, bytes.Repeat([]byte{filling}, size-3-len(inner)), []byte{0}, inner)
}

func TestRS256Signatures(t *testing.T) {
	t.Parallel()
	set, input := keystest.Set(keystest.RS256), inputFor(keystest.RS256, 0)
	private := rawRSA(keystest.RS256)
	good := keystest.SignRaw(keystest.RS256, input)
	digest := sha256.Sum256([]byte(input))
	// The DigestInfo of SHA-256, of the same without parameters, and of SHA-1's name before a SHA-256 (RFC 8017 §9.2).
	info := []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
		0x04, 0x20}
	bare := []byte{0x30, 0x2f, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x04, 0x20}
	sha1 := []byte{0x30, 0x2d, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x20}
	garbage := make([]byte, 128)
	early := slices.Concat([]byte{0, 1}, bytes.Repeat([]byte{0xff}, 8), []byte{0}, info, digest[:])
	early = append(early, make([]byte, private.Size()-len(early))...)

	rows := []struct {
		name      string
		signature []byte
		want      bool
	}{
		{"genuine", good, true},
		{"genuine, by hand", rs256(padded(0xff, info, digest[:])), true},
		{"a zero more in front", append([]byte{0}, good...), false},
		{"a zero more behind", append(slices.Clone(good), 0), false},
		{"without its last octet", good[:len(good)-1], false},
		{"without its first octet", good[1:], false},
		{"zero", make([]byte, len(good)), false},
		{"one", fixed(big.NewInt(1), len(good)), false},
		{"the modulus less one", fixed(new(big.Int).Sub(private.N, big.NewInt(1)), len(good)), false},
		{"the modulus", fixed(private.N, len(good)), false},
		{"negative", fixed(new(big.Int).Sub(private.N, new(big.Int).SetBytes(good)), len(good)), false},
		{"ones", bytes.Repeat([]byte{0xff}, len(good)), false},
		{"without DigestInfo", rs256(padded(0xff, digest[:])), false},
		{"DigestInfo without parameters", rs256(padded(0xff, bare, digest[:])), false},
		{"named SHA-1", rs256(padded(0xff, sha1, digest[:])), false},
		{"filled with zeros", rs256(padded(0, info, digest[:])), false},
		{"filled for encryption", rs256(append([]byte{0, 2}, padded(0xff, info, digest[:])[2:]...)), false},
		{"garbage behind a short filling", rs256(early), false}, // Bleichenbacher's forgery
		{"garbage before the digest", rs256(padded(0xff, garbage, info, digest[:])), false},
		{"of ES256", keystest.SignRaw(keystest.ES256, input), false},
		{"of another key", keystest.SignRaw(keystest.RS256Other, input), false},
		{"of another input", keystest.SignRaw(keystest.RS256, input+"A"), false},
		{"PSS", must(private.Sign(cryptorand.Reader, digest[:], &rsa.PSSOptions{Hash: crypto.SHA256})), false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if got := verifies(t, set, input, row.signature); got != row.want {
				t.Errorf("verifies: %v", got)
			}
			if len(row.signature) != len(good) {
				return
			}
			theirs := rsa.VerifyPKCS1v15(&private.PublicKey, crypto.SHA256, digest[:], row.signature) == nil
			if theirs != row.want {
				t.Errorf("crypto/rsa says %v", theirs)
			}
		})
	}
}

// The digest is of all the input, however long it is.
func TestVerifyLongInputs(t *testing.T) {
	t.Parallel()
	for _, name := range []string{keystest.ES256, keystest.RS256} {
		set := keystest.Set(name)
		for _, size := range []int{200, 1020, 1024, 1028, 2048, 7000} {
			input := inputFor(name, size)
			signature := keystest.SignRaw(name, input)
			if !verifies(t, set, input, signature) {
				t.Errorf("%s, %d octets: refused", name, len(input))
			}
			for _, at := range []int{len(input) - 1, len(input) - 2, len(input) / 2} {
				if at <= strings.IndexByte(input, '.') {
					continue
				}
				other := input[:at] + "B" + input[at+1:]
				if _, err := set.Verify(other + "." + keystest.Encode(signature)); err == nil {
					t.Errorf("%s, %d octets: accepted with another octet at %d", name, len(input), at)
				}
			}
		}
	}
}
