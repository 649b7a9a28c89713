//go:build linux

package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The resources of the registry, one an algorithm, and what both of them allow.
const (
	issuerID      = "https://issuer.example.com"
	es256Audience = "https://es256.example.com"
	rs256Audience = "https://rs256.example.com"
	scope         = "orders:read orders:write"
)

const maxKeyClients = 300 // clients that have a key

// Files of the population.
const (
	registryFile = "registry.yaml" // for the issuer
	clientsFile  = "clients.json"  // for the bare server
)

// person is a client with one of both credentials.
type person struct {
	id     string
	secret string
	key    *ecdsa.PrivateKey
	kid    string
}

// bareClient is a client as the bare server reads it.
type bareClient struct {
	Digest []byte `json:"digest,omitempty"`
	Key    []byte `json:"key,omitempty"`
}

// populate makes clients and writes them into dir, for each server in its own form. Half of them have keys, but no more
// than [maxKeyClients].
func populate(dir string, count int) ([]person, error) {
	file, err := os.Create(filepath.Join(dir, registryFile))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	registry := bufio.NewWriter(file)
	fmt.Fprintf(registry, "resources:\n%s%sclients:\n",
		resourceYAML(es256Audience, "ES256"), resourceYAML(rs256Audience, "RS256"))
	forBare := make(map[string]bareClient, count)
	people := make([]person, count)
	for i := range people {
		p := person{id: fmt.Sprintf("client-%06d", i), secret: newSecret()}
		credential := bareClient{}
		if i < min(count/2, maxKeyClients) {
			if p, credential.Key, err = withKey(p.id); err != nil {
				return nil, err
			}
		} else {
			digest := sha256.Sum256([]byte(p.secret))
			credential.Digest = digest[:]
		}
		writeClient(registry, p.id, credential)
		people[i], forBare[p.id] = p, credential
	}
	if err := registry.Flush(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(forBare)
	if err != nil {
		return nil, err
	}
	return people, os.WriteFile(filepath.Join(dir, clientsFile), text, 0o600)
}

func resourceYAML(audience, alg string) string {
	return fmt.Sprintf("  - audience: %s\n    scopes: [orders:read, orders:write]\n    algorithm: %s\n", audience, alg)
}

// newSecret is made as README.md advises.
func newSecret() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	return hex.EncodeToString(raw)
}

// withKey returns a client with a key, and the public half as SubjectPublicKeyInfo.
func withKey(id string) (person, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return person{}, nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return person{}, nil, err
	}
	kid, err := thumbprint(&key.PublicKey)
	return person{id: id, key: key, kid: kid}, der, err
}

// thumbprint is the kid under which Signet knows the key (RFC 7638 §3).
func thumbprint(key *ecdsa.PublicKey) (string, error) {
	point, err := key.Bytes() // 4, x, y
	if err != nil {
		return "", err
	}
	text := `{"crv":"P-256","kty":"EC","x":"` + encode(point[1:33]) + `","y":"` + encode(point[33:]) + `"}`
	sum := sha256.Sum256([]byte(text))
	return encode(sum[:]), nil
}

func writeClient(w *bufio.Writer, id string, c bareClient) {
	fmt.Fprintf(w, "  - id: %s\n", id)
	if c.Key != nil {
		text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: c.Key})
		indented := strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n          ")
		fmt.Fprintf(w, "    keys:\n      - pem: |\n          %s\n", indented)
	} else {
		fmt.Fprintf(w, "    secrets:\n      - sha256: %x\n", c.Digest)
	}
	fmt.Fprint(w, "    allow:\n")
	for _, audience := range []string{es256Audience, rs256Audience} {
		fmt.Fprintf(w, "      - resource: %s\n        scopes: [orders:read, orders:write]\n", audience)
	}
}
