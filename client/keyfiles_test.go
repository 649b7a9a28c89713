package main

import (
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"example.com/signet/keys/keystest"
)

// writeKeys writes key files, good and bad.
func writeKeys(dir string) error {
	pem := keystest.PEM(keystest.ES256)
	public, err := keystest.Key(keystest.ES256).Public().MarshalPEM()
	if err != nil {
		return err
	}
	jwk, publicJWK, err := jwks(keystest.ES256)
	if err != nil {
		return err
	}
	encrypted := strings.ReplaceAll(string(pem), "PRIVATE KEY", "ENCRYPTED PRIVATE KEY")
	for _, file := range []struct {
		name string
		text []byte
		mode os.FileMode
	}{
		{"demo.pem", pem, 0o600},
		{"loose.pem", pem, 0o644},
		{"public.pem", public, 0o600},
		{"encrypted.pem", []byte(encrypted), 0o600},
		{"truncated.pem", pem[:len(pem)/2], 0o600},
		{"weak.pem", keystest.PEM(keystest.WeakRSA), 0o600},
		{"empty.pem", nil, 0o600},
		{"demo.jwk", jwk, 0o600},
		{"loose.jwk", jwk, 0o640},
		{"public.jwk", publicJWK, 0o600},
		{"client.secret", []byte(goodSecret + "\n"), 0o600},
		{"secret.crlf", []byte(goodSecret + "\r\n"), 0o600},
		{"loose.secret", []byte(goodSecret), 0o644},
		{"wrong.secret", []byte("s3cret, but another"), 0o600},
		{"two.secret", []byte(goodSecret + "\n" + goodSecret + "\n"), 0o600},
		{"empty.secret", []byte("\n"), 0o600},
	} {
		path := filepath.Join(dir, file.name)
		if err := errors.Join(os.WriteFile(path, file.text, file.mode), os.Chmod(path, file.mode)); err != nil {
			return err
		}
	}
	return nil
}

// jwks returns a private key as a JWK (RFC 7518 §6.2), and its public half.
func jwks(name string) (private, public []byte, err error) {
	key, ok := keystest.Raw(name).(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, errors.New("no EC key")
	}
	d, err := key.Bytes()
	if err != nil {
		return nil, nil, err
	}
	point, err := key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		return nil, nil, err
	}
	members := map[string]string{"kty": "EC", "crv": "P-256", "x": keystest.Encode(point[1:33]), "y": keystest.Encode(point[33:])}
	public = mustJSON(members)
	members["d"] = keystest.Encode(d)
	return mustJSON(members), public, nil
}

// secretOf returns the number d of a JWK.
func secretOf(jwk []byte) string {
	var members map[string]string
	_ = json.Unmarshal(jwk, &members)
	return members["d"]
}
