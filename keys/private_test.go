package keys_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"strings"
	"testing"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

func TestGenerateKey(t *testing.T) {
	t.Parallel()
	for _, alg := range keys.Algorithms() {
		key, err := keys.GenerateKey(alg)
		if err != nil {
			t.Fatal(err)
		}
		again, err := keys.ParsePrivateKey(must(key.MarshalPEM()))
		if err != nil {
			t.Fatal(err)
		}
		if key.Algorithm() != alg || again.ID() != key.ID() || !again.Public().Equal(key.Public()) {
			t.Errorf("%s: generated %s, read back %s", alg, key, again)
		}
	}
}

func TestGenerateKeyRefuses(t *testing.T) {
	t.Parallel()
	for _, alg := range []keys.Algorithm{"", "none", "es256", "HS256", "ES384", "PS256"} {
		key, err := keys.GenerateKey(alg)
		wantError(t, err, keys.ErrAlgorithm, string(alg))
		if key != nil {
			t.Errorf("%s: a key beside the error", alg)
		}
	}
}

// secretsOf is what must never be seen of a private key, in each way that it could be written.
func secretsOf(name string) []string {
	raw := keystest.Raw(name)
	var numbers []*big.Int
	switch raw := raw.(type) {
	case *ecdsa.PrivateKey:
		numbers = []*big.Int{new(big.Int).SetBytes(must(raw.Bytes()))}
	case *rsa.PrivateKey:
		numbers = append([]*big.Int{raw.D, raw.Precomputed.Dp, raw.Precomputed.Dq}, raw.Primes...)
	}
	secrets := []string{base64.StdEncoding.EncodeToString(must(x509.MarshalPKCS8PrivateKey(raw)))}
	for _, n := range numbers {
		octets := n.Bytes()
		secrets = append(secrets, n.String(), hex.EncodeToString(octets), strings.ToUpper(hex.EncodeToString(octets)),
			base64.RawStdEncoding.EncodeToString(octets), base64.RawURLEncoding.EncodeToString(octets),
			fmt.Sprint(octets), strings.Trim(fmt.Sprint(octets), "[]"), string(octets))
	}
	return secrets
}

// The first sixteen characters of a secret are enough to call it a leak; a shorter match could be chance.
func wantNoSecret(t *testing.T, where, text, name string) {
	t.Helper()
	for _, secret := range secretsOf(name) {
		if strings.Contains(text, secret[:min(16, len(secret))]) {
			t.Errorf("%s shows the private key: %q", where, text)
		}
	}
}

func TestPrivateKeyPrintsNoSecret(t *testing.T) {
	t.Parallel()
	for _, name := range []string{keystest.ES256, keystest.RS256} {
		key := keystest.Key(name)
		type holder struct {
			Exported *keys.PrivateKey
			hidden   *keys.PrivateKey
			list     []*keys.PrivateKey
			Any      any
			Ring     []keys.RingKey
		}
		held := holder{key, key, []*keys.PrivateKey{key}, key, []keys.RingKey{{Key: key}}}
		values := map[string]any{
			"key": key, "copy": *key, "holder": held, "pointer to holder": &held,
			"slice": []*keys.PrivateKey{key}, "map": map[string]*keys.PrivateKey{"key": key},
			"ring": must(keys.NewRing(keys.RingKey{Key: key})),
		}
		for what, value := range values {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%X", "%q", "%t", "%10.3s"} {
				wantNoSecret(t, what+" with "+verb, fmt.Sprintf(verb, value), name)
			}
			text, _ := json.Marshal(value) //nolint:errcheck // a refusal shows nothing, which is what counts
			wantNoSecret(t, what+" as JSON", string(text), name)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
			if got, want := fmt.Sprintf(verb, key), string(key.Algorithm())+" "+key.ID(); got != want {
				t.Errorf("%s: %q, want %q", verb, got, want)
			}
		}
	}
}

func TestPrivateKeyLogsNoSecret(t *testing.T) {
	t.Parallel()
	for _, name := range []string{keystest.ES256, keystest.RS256} {
		key := keystest.Key(name)
		held := struct{ Key *keys.PrivateKey }{key}
		var out bytes.Buffer
		for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			out.Reset()
			slog.New(handler).Info("loaded", "key", key)
			if want := string(key.Algorithm()) + " " + key.ID(); !strings.Contains(out.String(), want) {
				t.Errorf("%T: %q is without %q", handler, out.String(), want)
			}
			slog.New(handler).Info("loaded", "holder", held, "copy", *key, "list", []*keys.PrivateKey{key})
			wantNoSecret(t, fmt.Sprintf("%T", handler), out.String(), name)
		}
	}
}

// oddSigner is a crypto.Signer from outside, such as a driver for a key in hardware, that misbehaves.
type oddSigner struct {
	public crypto.PublicKey
	sign   func(digest []byte) ([]byte, error)
}

func (s oddSigner) Public() crypto.PublicKey { return s.public }

func (s oddSigner) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	return s.sign(digest)
}

func TestNewPrivateKeyRefuses(t *testing.T) {
	t.Parallel()
	signAs := func(name string) func([]byte) ([]byte, error) {
		return func(digest []byte) ([]byte, error) { return keystest.Raw(name).Sign(nil, digest, crypto.SHA256) }
	}
	answer := func(signature []byte, err error) func([]byte) ([]byte, error) {
		return func([]byte) ([]byte, error) { return signature, err }
	}
	ecdsaAnswer := func(r, s *big.Int) func([]byte) ([]byte, error) {
		return answer(asn1.Marshal(struct{ R, S *big.Int }{r, s}))
	}
	ec, rsaKey := keystest.Raw(keystest.ES256).Public(), keystest.Raw(keystest.RS256).Public()
	one, huge := big.NewInt(1), new(big.Int).Lsh(big.NewInt(1), 300)
	offCurve := &ecdsa.PublicKey{Curve: elliptic.P256()}
	offCurve.X, offCurve.Y = one, one //lint:ignore SA1019 no other way makes a key that is wrong

	rows := []struct {
		name   string
		signer crypto.Signer
		say    string
	}{
		{"EC signer that shows another's public key", oddSigner{ec, signAs(keystest.ES256Other)}, "does not verify"},
		{"RSA signer that shows another's public key", oddSigner{rsaKey, signAs(keystest.RS256Other)}, "does not verify"},
		{"RSA signer that shows an EC key", oddSigner{ec, signAs(keystest.RS256)}, "proving the pair"},
		{"EC signer that shows an RSA key", oddSigner{rsaKey, signAs(keystest.ES256)}, "does not verify"},
		{"signer that fails", oddSigner{ec, answer(nil, errors.New("token was pulled out"))}, "token was pulled out"},
		{"signer that answers nothing", oddSigner{ec, answer(nil, nil)}, "proving the pair"},
		{"RSA signer that answers nothing", oddSigner{rsaKey, answer(nil, nil)}, "does not verify"},
		{"signer that answers zeros", oddSigner{ec, ecdsaAnswer(new(big.Int), new(big.Int))}, "does not verify"},
		{"signer that answers another digest's", oddSigner{ec, func([]byte) ([]byte, error) {
			return signAs(keystest.ES256)(make([]byte, 32))
		}}, "does not verify"},
		{"signer whose r has 301 bits", oddSigner{ec, ecdsaAnswer(huge, one)}, "proving the pair"},
		{"signer whose s has 301 bits", oddSigner{ec, ecdsaAnswer(one, huge)}, "proving the pair"},
		{"signer whose r is negative", oddSigner{ec, ecdsaAnswer(big.NewInt(-1), one)}, ""},
		{"signer without a public key", oddSigner{nil, signAs(keystest.ES256)}, "neither ECDSA nor RSA"},
		{"signer with an EC public key by value", oddSigner{*ec.(*ecdsa.PublicKey), signAs(keystest.ES256)}, "neither"},
		{"signer with an empty EC public key", oddSigner{&ecdsa.PublicKey{}, signAs(keystest.ES256)}, "not P-256"},
		{"signer with a point off the curve", oddSigner{offCurve, signAs(keystest.ES256)}, "not on P-256"},
		{"signer with an EC key without a point", oddSigner{&ecdsa.PublicKey{Curve: elliptic.P256()},
			signAs(keystest.ES256)}, "not on P-256"},
		{"signer with an empty RSA public key", oddSigner{&rsa.PublicKey{}, signAs(keystest.RS256)}, "RSA without a modulus"},
		{"signer with no EC public key", oddSigner{(*ecdsa.PublicKey)(nil), signAs(keystest.ES256)}, "not P-256"},
		{"signer with no RSA public key", oddSigner{(*rsa.PublicKey)(nil), signAs(keystest.RS256)}, "RSA without a modulus"},
		{"RSA of 1024 bits", keystest.Raw(keystest.WeakRSA), "RSA of 1024 bits"},
		{"P-384", keystest.Raw(keystest.WrongCurve), "curve is not P-256"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			key, err := keys.NewPrivateKey(row.signer)
			wantError(t, err, keys.ErrKey, row.say)
			if key != nil {
				t.Errorf("a key beside the error: %s", key)
			}
		})
	}
}

// A key in hardware can sign and cannot be taken out.
func TestSignerWithoutPEM(t *testing.T) {
	t.Parallel()
	raw := keystest.Raw(keystest.ES256)
	key, err := keys.NewPrivateKey(oddSigner{raw.Public(), func(digest []byte) ([]byte, error) {
		return raw.Sign(nil, digest, crypto.SHA256)
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := key.Sign(keys.TypeAccessToken, []byte(testPayload)); err != nil {
		t.Error(err)
	}
	_, err = key.MarshalPEM()
	wantError(t, err, keys.ErrKey, "encoding")
}

func TestSignRefusesOtherTypes(t *testing.T) {
	t.Parallel()
	for _, typ := range []keys.Type{"", "jwt", "AT+JWT", "application/at+jwt", `JWT","alg":"none`} {
		if token, err := keystest.Key(keystest.ES256).Sign(typ, []byte(testPayload)); err == nil || token != "" {
			t.Errorf("type %q: got %q, %v", typ, token, err)
		}
	}
}
