//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"example.com/signet/scripts/bench/internal/drive"
)

// checkToken obtains one token and verifies it by the server's JWK Set.
func (s *server) checkToken(m mode) error {
	requests, err := m.requests(1)
	if err != nil {
		return err
	}
	status, body, err := exchange(s.Address, requests[0])
	if err != nil {
		return err
	}
	var answer struct {
		Token string `json:"access_token"`
		Type  string `json:"token_type"`
		Scope string `json:"scope"`
	}
	if json.Unmarshal(body, &answer) != nil || status != 200 || answer.Type != "Bearer" {
		return fmt.Errorf("status %d: %.200s", status, body)
	}
	set, err := get("http://" + s.Address + "/.well-known/jwks.json")
	if err != nil {
		return err
	}
	return verify(answer.Token, set, m.audience)
}

func isToken(status int, body []byte) bool {
	return status == 200 && bytes.Contains(body, []byte(`"access_token":"`))
}

// exchange sends one request over a connection of its own.
func exchange(address string, request []byte) (status int, body []byte, err error) {
	c, err := net.DialTimeout("tcp", address, drive.Silence)
	if err != nil {
		return 0, nil, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(drive.Silence))
	if _, err := c.Write(request); err != nil {
		return 0, nil, err
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return response.StatusCode, body, err
}

// jwk is a key of a JWK Set (RFC 7517 §4).
type jwk struct {
	ID string `json:"kid"`
	X  string `json:"x"`
	Y  string `json:"y"`
	N  string `json:"n"`
}

// verify checks signature, issuer, audience and scope.
func verify(token string, set []byte, audience string) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errors.New("the token has no three parts")
	}
	var header struct{ Alg, Kid string }
	var claims struct{ Iss, Aud, Scope, JTI string }
	var all struct{ Keys []jwk }
	err := errors.Join(decodeJSON(parts[0], &header), decodeJSON(parts[1], &claims), json.Unmarshal(set, &all))
	if err != nil {
		return err
	}
	if claims.Iss != issuerID || claims.Aud != audience || claims.Scope != scope || claims.JTI == "" {
		return fmt.Errorf("unexpected claims: %+v", claims)
	}
	for _, key := range all.Keys {
		if key.ID == header.Kid {
			return key.verify(header.Alg, parts[0]+"."+parts[1], parts[2])
		}
	}
	return fmt.Errorf("no key %q in the JWK Set", header.Kid)
}

func (k jwk) verify(alg, signed, encoded string) error {
	signature, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(signed))
	if alg == "RS256" {
		const exponent = 65537
		key := &rsa.PublicKey{N: new(big.Int).SetBytes(decode(k.N)), E: exponent}
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature)
	}
	if alg != "ES256" || len(signature) != 64 {
		return errors.New("neither RS256 nor ES256")
	}
	const uncompressed = 4
	point := slices.Concat([]byte{uncompressed}, decode(k.X), decode(k.Y))
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return err
	}
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if !ecdsa.Verify(key, digest[:], r, s) {
		return errors.New("the signature does not verify")
	}
	return nil
}

// decode reads a member of a key. What is no base64url becomes a key that verifies nothing.
func decode(text string) []byte {
	raw, _ := base64.RawURLEncoding.DecodeString(text)
	return raw
}

func decodeJSON(encoded string, into any) error {
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
