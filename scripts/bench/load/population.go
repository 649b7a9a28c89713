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
	"errors"
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

	credential bareClient // what a server knows of it
}

// bareClient is a client as the bare server reads it.
type bareClient struct {
	Digest []byte `json:"digest,omitempty"`
	Key    []byte `json:"key,omitempty"`
}

// populate makes clients and writes them into dir, for each server in its own form. Half of them have keys, but no more
// than [maxKeyClients].
func populate(dir string, count int) ([]person, error) {
	people, err := makePeople(count, min(count/2, maxKeyClients))
	if err != nil {
		return nil, err
	}
	forBare := make(map[string]bareClient, count)
	for _, p := range people {
		forBare[p.id] = p.credential
	}
	text, err := json.Marshal(forBare)
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, clientsFile), text, 0o600),
		writeRegistry(filepath.Join(dir, registryFile), people))
	return people, err
}

// makePeople makes clients, the first of which have keys and the others secrets.
func makePeople(count, keyed int) (people []person, err error) {
	people = make([]person, count)
	for i := range people {
		id := fmt.Sprintf("client-%06d", i)
		if i < keyed {
			if people[i], err = withKey(id); err != nil {
				return nil, err
			}
			continue
		}
		secret := newSecret()
		digest := sha256.Sum256([]byte(secret))
		people[i] = person{id: id, secret: secret, credential: bareClient{Digest: digest[:]}}
	}
	return people, nil
}

// writeRegistry writes the issuer's registry.
func writeRegistry(path string, people []person) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	registry := bufio.NewWriter(file)
	fmt.Fprintf(registry, "resources:\n%s%sclients:\n",
		resourceYAML(es256Audience, "ES256"), resourceYAML(rs256Audience, "RS256"))
	for _, p := range people {
		writeClient(registry, p.id, p.credential)
	}
	return registry.Flush()
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

// withKey returns a client with a key. A server knows the public half, as SubjectPublicKeyInfo.
func withKey(id string) (person, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return person{}, err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return person{}, err
	}
	kid, err := thumbprint(&key.PublicKey)
	return person{id: id, key: key, kid: kid, credential: bareClient{Key: der}}, err
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
