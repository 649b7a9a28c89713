package clients_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/keys/keystest"
)

func weakPublic(t testing.TB) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&keystest.Raw(keystest.WeakRSA).(*rsa.PrivateKey).PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func TestReadFileKeys(t *testing.T) {
	t.Parallel()
	private := indent(keystest.PEM(keystest.ES256), 10)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := indent(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey)}), 10)
	jwk := publicJWK(t, keystest.ES256)
	rows := []struct{ name, key, want string }{
		{"private PEM", "pem: |\n" + private, `unusable key: PEM block "PRIVATE KEY", want "PUBLIC KEY"`},
		{"PKCS#1 PEM", "pem: |\n" + pkcs1, `unusable key: PEM block "RSA PUBLIC KEY", want "PUBLIC KEY"`},
		{"truncated PEM", "pem: |\n" + indent(publicPEM(t, keystest.ES256)[:90], 10), "unusable key: PEM is truncated or damaged"},
		{"not PEM", "pem: " + theSecret, "unusable key: not PEM"},
		{"empty PEM", "pem: ''", "unusable key: not PEM"},
		{"RSA of 1024 bits", "pem: |\n" + indent([]byte(weakPublic(t)), 10), "unusable key: RSA of 1024 bits, want 2048 to 8192"},
		{"symmetric JWK", `jwk: '{"kty":"oct","k":"` + theSecret + `","alg":"HS256","kid":"a"}'`, "unusable key: symmetric"},
		{"private JWK", "jwk: '" + strings.Replace(jwk, "{", `{"d":"`+theSecret+`",`, 1) + "'", "unusable key: private: it must be replaced, for whoever read this has it"},
		{"JWK with a member twice", "jwk: '" + strings.Replace(jwk, "{", `{"kty":"EC",`, 1) + "'", "unusable key: not a strict JSON object of JWK members"},
		{"JWK for encryption", "jwk: '" + strings.Replace(jwk, `"sig"`, `"enc"`, 1) + "'", `unusable key: use is "enc", not sig`},
		{"JWK Set", `jwk: '{"keys":[` + jwk + "]}'", "unusable key: kid is missing"},
		{"JWK as YAML without kid", "jwk: {kty: EC}", "unusable key: kid is missing"},
		{"JWK as YAML, empty", "jwk: {}", "unusable key: kid is missing"},
		{"JWK as YAML, private", "jwk: " + strings.Replace(jwk, "{", `{"d":"`+theSecret+`",`, 1), "unusable key: private: it must be replaced, for whoever read this has it"},
		{"JWK as YAML, symmetric", "jwk: {kty: oct, k: " + theSecret + ", alg: HS256, kid: a}", "unusable key: symmetric"},
		{"JWK as YAML, another point", "jwk: " + strings.Replace(jwk, `"x":"`, `"x":"A`, 1), "unusable key: not a P-256 point"},
		{"JWK as YAML, not for verifying", "jwk: " + strings.Replace(jwk, "{", `{"key_ops":[sign],`, 1), "unusable key: key_ops is without verify"},
		{"JWK as YAML, no key_ops at all", "jwk: " + strings.Replace(jwk, "{", `{"key_ops":[],`, 1), "unusable key: key_ops is without verify"},
		{"JWK as YAML, key_ops of one value", "jwk: " + strings.Replace(jwk, "{", `{"key_ops":verify,`, 1), kindList},
		{"JWK as YAML, key_ops with a mapping", "jwk: " + strings.Replace(jwk, "{", `{"key_ops":[verify, {}],`, 1), kindOne},
		{"JWK as YAML, a list for a member", "jwk: " + strings.Replace(jwk, "{", `{"x5c":[a],`, 1), kindOne},
		{"JWK as YAML, a mapping for a member", "jwk: " + strings.Replace(jwk, "{", `{"jwk":{},`, 1), kindOne},
		{"JWK as YAML, nothing for a member", "jwk: " + strings.Replace(jwk, "{", `{"ext":,`, 1), kindOne},
		{"JWK as YAML, null for a private member", "jwk: " + strings.Replace(jwk, "{", `{"d":null,`, 1), kindOne},
		{"JWK as YAML, a member twice", "jwk: " + strings.Replace(jwk, "{", `{"kty":"EC",`, 1), `field "kty" is there already, at line 8`},
		{"JWK as YAML, a member twice, spelled otherwise", "jwk: " + strings.Replace(jwk, "{", `{"\x6bty":"EC",`, 1), `field "kty" is there already, at line 8`},
		{"JWK as YAML, a name that is no text", "jwk: {[a]: b}", "the name of a field is needed here"},
		{"JWK as YAML, name of another member's case", "jwk: " + strings.Replace(jwk, `"kid"`, `"KID"`, 1), "unusable key: kid is missing"},
		{"JWK in a list", "jwk: [" + jwk + "]", kindOne},
		{"missing file", "file: keys/none.pub", "stat DIR/keys/none.pub: no such file or directory"},
		{"private file", "file: keys/client.pem", `reading DIR/keys/client.pem: unusable key: PEM block "PRIVATE KEY", want "PUBLIC KEY"`},
		{"weak file", "file: keys/weak.pub", "reading DIR/keys/weak.pub: unusable key: RSA of 1024 bits, want 2048 to 8192"},
		{"truncated file", "file: keys/truncated", "reading DIR/keys/truncated: unusable key: PEM is truncated or damaged"},
		{"empty file", "file: keys/nothing.here", "reading DIR/keys/nothing.here: unusable key: not PEM"},
		{"directory", "file: keys", "reading DIR/keys: unusable key: not a regular file"},
		{"pem and file", "pem: x\n        file: keys/client.pub", `a key of client "billing" needs one of pem, jwk and file`},
		{"none", "{}", `a key of client "billing" needs one of pem, jwk and file`},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			path := write(t, strings.ReplaceAll(strings.Replace(goodFile, "file: keys/client.pub", row.key, 1), "DIGEST", good))
			_, err := clients.ReadFile(path, time.Now())
			if err == nil {
				t.Fatal("accepted")
			}
			dir := strings.TrimSuffix(path, "/registry.yaml")
			want := "reading registry " + path + ": line 8: " + strings.ReplaceAll(row.want, "DIR", dir)
			if !strings.HasPrefix(err.Error(), want) { // package keys words its own mistakes, and may say more
				t.Errorf("error %q\n want %q", err, want)
			}
			checkQuiet(t, err.Error())
		})
	}
}
