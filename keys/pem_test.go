package keys_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// pemBlock encodes one block.
func pemBlock(typ string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der})
}

// must unwraps what a test needs and cannot go wrong.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func rawEC(name string) *ecdsa.PrivateKey { return keystest.Raw(name).(*ecdsa.PrivateKey) }
func rawRSA(name string) *rsa.PrivateKey  { return keystest.Raw(name).(*rsa.PrivateKey) }

func sec1() []byte  { return must(x509.MarshalECPrivateKey(rawEC(keystest.ES256))) }
func pkcs1() []byte { return x509.MarshalPKCS1PrivateKey(rawRSA(keystest.RS256)) }

// ecParameters is the block that `openssl ecparam -genkey` writes before the key: the curve's name.
func ecParameters() []byte {
	p256 := asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}
	return pemBlock("EC PARAMETERS", must(asn1.Marshal(p256)))
}

func TestParsePrivateKeyForms(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		text []byte
		key  string // the same key has the same kid, however it is written
	}{
		{"EC in PKCS#8", keystest.PEM(keystest.ES256), keystest.ES256},
		{"EC in SEC 1", pemBlock("EC PRIVATE KEY", sec1()), keystest.ES256},
		{"EC in SEC 1 after its parameters", append(ecParameters(), pemBlock("EC PRIVATE KEY", sec1())...), keystest.ES256},
		{"RSA in PKCS#8", keystest.PEM(keystest.RS256), keystest.RS256},
		{"RSA in PKCS#1", pemBlock("RSA PRIVATE KEY", pkcs1()), keystest.RS256},
		{"CRLF line ends", bytes.ReplaceAll(keystest.PEM(keystest.ES256), []byte("\n"), []byte("\r\n")), keystest.ES256},
		{"blank lines at the end", append(keystest.PEM(keystest.ES256), "\n \n"...), keystest.ES256},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			key, err := keys.ParsePrivateKey(row.text)
			if err != nil {
				t.Fatal(err)
			}
			if want := keystest.Key(row.key); key.ID() != want.ID() || !key.Public().Equal(want.Public()) {
				t.Errorf("got %s, want %s", key, want)
			}
		})
	}
}

// mismatched is an RSA key whose private exponent belongs to another modulus, as a mixed-up copy would be.
func mismatched() []byte {
	type pkcs1 struct {
		Version                   int
		N                         *big.Int
		E                         int
		D, P, Q, Dp, Dq, QInverse *big.Int
	}
	a, b := rawRSA(keystest.RS256), rawRSA(keystest.RS256Other)
	return must(asn1.Marshal(pkcs1{
		N: a.N, E: a.E, D: b.D, P: b.Primes[0], Q: b.Primes[1],
		Dp: b.Precomputed.Dp, Dq: b.Precomputed.Dq, QInverse: b.Precomputed.Qinv,
	}))
}

// wrongExponent is an RSA key with the right primes and a d that does not undo e.
func wrongExponent() []byte {
	key := *rawRSA(keystest.RS256)
	key.D = new(big.Int).Add(key.D, big.NewInt(2))
	key.Precomputed = rsa.PrecomputedValues{}
	return x509.MarshalPKCS1PrivateKey(&key)
}

// strangePoint is an EC key that names another key's public point.
func strangePoint() []byte {
	type sec1 struct {
		Version    int
		PrivateKey []byte
		Curve      asn1.ObjectIdentifier `asn1:"explicit,tag:0"`
		PublicKey  asn1.BitString        `asn1:"explicit,tag:1"`
	}
	point := must(rawEC(keystest.ES256Other).PublicKey.Bytes())
	return must(asn1.Marshal(sec1{
		Version:    1,
		PrivateKey: must(rawEC(keystest.ES256).Bytes()),
		Curve:      asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7},
		PublicKey:  asn1.BitString{Bytes: point, BitLength: len(point) * 8},
	}))
}

// legacyEncrypted is RFC 1421 encryption as `openssl rsa -aes128` wrote it; nothing here ever decrypts it.
const legacyEncrypted = `-----BEGIN RSA PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-128-CBC,0123456789ABCDEF0123456789ABCDEF

AAECAwQFBgcICQoLDA0ODw==
-----END RSA PRIVATE KEY-----
`

func certificate() []byte {
	key := rawEC(keystest.ES256)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}}
	return must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
}

func ed25519Key() []byte {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return must(x509.MarshalPKCS8PrivateKey(must(key, err)))
}

func TestParsePrivateKeyRefuses(t *testing.T) {
	t.Parallel()
	good := keystest.PEM(keystest.ES256)
	block, _ := pem.Decode(good)
	flipped := bytes.Clone(block.Bytes)
	flipped[0] ^= 0xff
	public := must(keystest.Key(keystest.ES256).Public().MarshalPEM())
	noEnd := good[:bytes.Index(good, []byte("-----END"))]
	join := func(texts ...[]byte) []byte { return bytes.Join(texts, nil) }

	rows := []struct {
		name string
		text []byte
		say  string // what a person needs to read
	}{
		{"empty", nil, "not PEM"},
		{"blank", []byte(" \n\n"), "not PEM"},
		{"text", []byte("my key is under the mat"), "not PEM"},
		{"DER", block.Bytes, "not PEM"},
		{"JWK", []byte(jwkWith(t, keystest.ES256, nil)), "not PEM"},
		{"begin line alone", []byte("-----BEGIN PRIVATE KEY-----\n"), "truncated or damaged"},
		{"no end line", noEnd, "truncated or damaged"},
		{"cut in the middle", good[:len(good)/2], "truncated or damaged"},
		{"not base64 inside", bytes.Replace(good, []byte("M"), []byte("*"), 1), "truncated or damaged"},
		{"parameters without a key", ecParameters(), "truncated or damaged"},

		{"encrypted PKCS#8", pemBlock("ENCRYPTED PRIVATE KEY", []byte{0x30, 0}), "encrypted"},
		{"encrypted PKCS#1", []byte(legacyEncrypted), "encrypted"},
		{"public key", public, "this is a PUBLIC KEY, a private key is needed"},
		{"RSA public key", pemBlock("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rawRSA(keystest.RS256).PublicKey)),
			"this is a RSA PUBLIC KEY, a private key is needed"},
		{"certificate", pemBlock("CERTIFICATE", certificate()), "this is a CERTIFICATE, a private key is needed"},
		{"OpenSSH key", pemBlock("OPENSSH PRIVATE KEY", []byte{0}), `"OPENSSH PRIVATE KEY" is not a private key`},

		{"two keys", join(good, keystest.PEM(keystest.ES256Other)), "something follows the PEM block"},
		{"the same key twice", join(good, good), "something follows the PEM block"},
		{"key and certificate", join(good, pemBlock("CERTIFICATE", certificate())), "something follows the PEM block"},
		{"trailing garbage", append(bytes.Clone(good), "x"...), "something follows the PEM block"},
		{"a NUL at the end", append(bytes.Clone(good), 0), "something follows the PEM block"},
		// pem.Decode skips what it cannot read: the second key must not stand in for the damaged first one.
		{"a damaged key and a good one", join(noEnd, keystest.PEM(keystest.ES256Other)), "truncated or damaged"},

		{"damaged DER", pemBlock("PRIVATE KEY", flipped), "damaged or of an unsupported type"},
		{"truncated DER", pemBlock("PRIVATE KEY", block.Bytes[:40]), "damaged or of an unsupported type"},
		{"no DER", pemBlock("PRIVATE KEY", nil), "damaged or of an unsupported type"},
		{"octets after the DER", pemBlock("PRIVATE KEY", append(bytes.Clone(block.Bytes), 0)), "damaged or of an unsupported type"},
		{"PKCS#8 called PKCS#1", pemBlock("RSA PRIVATE KEY", block.Bytes), "damaged or of an unsupported type"},
		{"RSA of two keys", pemBlock("RSA PRIVATE KEY", mismatched()), "damaged or of an unsupported type"},
		{"RSA with a wrong exponent", pemBlock("RSA PRIVATE KEY", wrongExponent()), "damaged or of an unsupported type"},

		{"RSA of 1024 bits", keystest.PEM(keystest.WeakRSA), "RSA of 1024 bits, want 2048 to 8192"},
		{"P-384", keystest.PEM(keystest.WrongCurve), "curve is not P-256"},
		{"Ed25519", pemBlock("PRIVATE KEY", ed25519Key()), "neither ECDSA nor RSA"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			key, err := keys.ParsePrivateKey(row.text)
			wantError(t, err, keys.ErrKey, row.say)
			if key != nil {
				t.Errorf("a key beside the error: %s", key)
			}
			if leak := keyMaterialIn(err.Error(), row.text); leak != "" {
				t.Errorf("error %q holds %q of the input", err, leak)
			}
		})
	}
}

// crypto/x509 derives the point from the scalar and ignores the one in the file. The pair that results is a true one,
// so the key is not refused; this test would notice if the file's point were ever believed.
func TestParsePrivateKeyDerivesPoint(t *testing.T) {
	t.Parallel()
	key, err := keys.ParsePrivateKey(pemBlock("EC PRIVATE KEY", strangePoint()))
	if err != nil {
		t.Fatal(err)
	}
	if want := keystest.Key(keystest.ES256); key.ID() != want.ID() {
		t.Errorf("loaded as %s, want %s", key, want)
	}
}

// keyMaterialIn returns what text shows of the PEM in source: twelve characters of its base64, or six octets of what
// that encodes in hex. It returns "" when there is nothing.
func keyMaterialIn(text string, source []byte) string {
	const window = 12
	for block, rest := pem.Decode(source); block != nil; block, rest = pem.Decode(rest) {
		for _, encoded := range []string{base64.StdEncoding.EncodeToString(block.Bytes), hex.EncodeToString(block.Bytes)} {
			for i := 0; i+window <= len(encoded); i++ {
				if strings.Contains(text, encoded[i:i+window]) {
					return encoded[i : i+window]
				}
			}
		}
	}
	return ""
}

func TestEncryptedKeySaysHowToDecrypt(t *testing.T) {
	t.Parallel()
	for _, text := range [][]byte{pemBlock("ENCRYPTED PRIVATE KEY", []byte{0x30, 0}), []byte(legacyEncrypted)} {
		_, err := keys.ParsePrivateKey(text)
		if hint := hintOf(err); !strings.Contains(hint, "openssl pkey -in") {
			t.Errorf("hint of %q is %q", err, hint)
		}
	}
}

func TestParsePublicKey(t *testing.T) {
	t.Parallel()
	for _, name := range []string{keystest.ES256, keystest.RS256} {
		want := keystest.Key(name).Public()
		got, err := keys.ParsePublicKey(must(want.MarshalPEM()))
		if err != nil {
			t.Fatal(err)
		}
		if !got.Equal(want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestParsePublicKeyRefuses(t *testing.T) {
	t.Parallel()
	good := must(keystest.Key(keystest.ES256).Public().MarshalPEM())
	spki := func(name string) []byte {
		return pemBlock("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(keystest.Raw(name).Public())))
	}
	rows := []struct {
		name string
		text []byte
		say  string
	}{
		{"empty", nil, "not PEM"},
		{"truncated", good[:len(good)/2], "truncated or damaged"},
		{"two", append(bytes.Clone(good), good...), "something follows the PEM block"},
		{"private key", keystest.PEM(keystest.ES256), `PEM block "PRIVATE KEY", want "PUBLIC KEY"`},
		{"certificate", pemBlock("CERTIFICATE", certificate()), `PEM block "CERTIFICATE", want "PUBLIC KEY"`},
		{"no DER", pemBlock("PUBLIC KEY", nil), "parsing PUBLIC KEY"},
		{"RSA of 1024 bits", spki(keystest.WeakRSA), "RSA of 1024 bits"},
		{"P-384", spki(keystest.WrongCurve), "curve is not P-256"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			key, err := keys.ParsePublicKey(row.text)
			wantError(t, err, keys.ErrKey, row.say)
			if key != nil {
				t.Errorf("a key beside the error: %s", key)
			}
		})
	}
}
