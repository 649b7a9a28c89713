//go:build linux

package main

import (
	"bufio"
	"crypto"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"example.com/signet/keys"
)

// exchange returns the whole answer to one request, but for its date.
func exchange(t *testing.T, address string, request []byte) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(request); err != nil {
		t.Fatal(err)
	}
	var answer strings.Builder
	for r := bufio.NewReader(c); !strings.HasSuffix(answer.String(), welcome); {
		line, err := r.ReadString('}') // the body's end
		if err != nil {
			t.Fatalf("reading after %q: %v", answer.String(), err)
		}
		answer.WriteString(line)
	}
	return regexp.MustCompile(`Date: [^\r]*\r\n`).ReplaceAllString(answer.String(), "")
}

// publicOf returns the public half as the standard library has it.
func publicOf(t *testing.T, i *issuer, alg keys.Algorithm) crypto.PublicKey {
	t.Helper()
	text, err := i.signers[alg].Public().MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := readKey(file)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestVerifyBare(t *testing.T) {
	i, err := startIssuer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.close)
	for _, alg := range keys.Algorithms() {
		tokens, err := i.signAll(alg, 2)
		if err != nil {
			t.Fatal(err)
		}
		good := tokens[0]
		dot := strings.LastIndexByte(good, '.')
		tests := []struct {
			name, token string
			status      int
		}{
			{"nothing", "", 401},
			{"no dot", "x", 401},
			{"only a dot", ".", 401},
			{"no signature", good[:dot+1], 401},
			{"without its last segment", good[:dot], 401},
			{"short signature", good[:len(good)-4], 401},
			{"another token's signature", forge(good, tokens[1]), 401},
			{"changed payload", "x" + good, 401},
			{"not base64", good + "*", 401},
			{"as signed", good, 200},
		}
		h := verifyBare(publicOf(t, i, alg), http.HandlerFunc(answer))
		for _, tt := range tests {
			t.Run(string(alg)+"/"+tt.name, func(t *testing.T) {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.Header.Set("Token", tt.token)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != tt.status {
					t.Errorf("status %d, want %d", w.Code, tt.status)
				}
			})
		}
	}
}

func TestHasSignedKnowsNoOtherKey(t *testing.T) {
	if hasSigned("key", make([]byte, 32), make([]byte, 64)) {
		t.Error("verified")
	}
}

func TestReadKeyRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string][]byte{
		"empty":     nil,
		"no key":    pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}),
		"not a PEM": []byte("text"),
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if key, err := readKey(file); err == nil {
			t.Errorf("%s: read %T", name, key)
		}
	}
	if _, err := readKey(filepath.Join(dir, "none")); !os.IsNotExist(err) {
		t.Errorf("no file: got %v", err)
	}
}
