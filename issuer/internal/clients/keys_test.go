package clients_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

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
		{"JWK as YAML", "jwk: {kty: EC}", kindOne},
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
			_, err := clients.ReadFile(path)
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
