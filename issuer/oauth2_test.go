package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// A client of somebody else's making, written against the RFCs, obtains a token in both of the ways that it knows.
func TestOAuth2ClientCredentials(t *testing.T) {
	t.Parallel()
	secret, digest := clients.GenerateSecret()
	address := startIssuer(t, fmt.Sprintf(`resources:
  - {audience: 'https://orders.example.com', scopes: [read, write], algorithm: RS256}
  - {audience: 'https://stock.example.com', scopes: [read]}
clients:
  - id: team/billing@example
    secrets: [{sha256: %x}]
    allow:
      - {resource: 'https://orders.example.com', scopes: [read, write], default_scopes: [read]}
      - {resource: 'https://stock.example.com', scopes: [read], default_scopes: [read]}
    default_resource: https://orders.example.com
`, digest))
	for name, style := range map[string]oauth2.AuthStyle{
		"Basic":           oauth2.AuthStyleInHeader,
		"post":            oauth2.AuthStyleInParams,
		"found by trying": oauth2.AuthStyleAutoDetect,
	} {
		t.Run(name, func(t *testing.T) {
			config := clientcredentials.Config{
				ClientID: "team/billing@example", ClientSecret: secret, AuthStyle: style,
				TokenURL: address + "/oauth2/token", Scopes: []string{"write", "read"},
			}
			token, err := config.Token(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if left := time.Until(token.Expiry); token.Type() != "Bearer" || left < 9*time.Minute || left > 10*time.Minute {
				t.Errorf("type %q, expires in %v", token.Type(), left)
			}
			verified, err := keystest.Set(keystest.RS256).Verify(token.AccessToken)
			if err != nil {
				t.Fatal(err)
			}
			var claims struct {
				Subject  string `json:"sub"`
				Audience string `json:"aud"`
				Scope    string `json:"scope"`
			}
			if err := json.Unmarshal(verified.Payload, &claims); err != nil {
				t.Fatal(err)
			}
			if claims.Subject != "team/billing@example" || claims.Audience != "https://orders.example.com" || claims.Scope != "write read" {
				t.Errorf("claims %+v", claims)
			}
		})
	}
	t.Run("a wrong secret is its own kind of error", func(t *testing.T) {
		config := clientcredentials.Config{ClientID: "team/billing@example", ClientSecret: "wrong", TokenURL: address + "/oauth2/token"}
		_, err := config.Token(t.Context())
		var refused *oauth2.RetrieveError
		if !errors.As(err, &refused) || refused.ErrorCode != "invalid_client" {
			t.Errorf("error %v", err)
		}
	})
}

// startIssuer runs the issuer with that registry and keys of both algorithms, on ports of its own, until the test ends.
// It returns where the issuer serves.
func startIssuer(t *testing.T, registry string, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	past := time.Now().Add(-time.Hour).Truncate(time.Second)
	for name, text := range map[string][]byte{
		"registry.yaml": []byte(registry),
		filepath.Join("keys", keys.FileName(keys.ES256, past)): keystest.PEM(keystest.ES256),
		filepath.Join("keys", keys.FileName(keys.RS256, past)): keystest.PEM(keystest.RS256),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args = append([]string{
		"--registry", filepath.Join(dir, "registry.yaml"), "--keys-dir", filepath.Join(dir, "keys"),
		"--listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0",
	}, args...)
	log := &lines{found: make(chan string, 1)}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, args, func(string) string { return "" }, os.Stdout, log) }()
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != exitOK {
			t.Errorf("the issuer ended with code %d:\n%s", code, log)
		}
	})
	select {
	case address := <-log.found:
		return address
	case code := <-ended:
		ended <- code
		t.Fatalf("the issuer does not serve:\n%s", log)
		return ""
	}
}

// lines is a log that is read while it is written: it finds the issuer's address in it.
type lines struct {
	mu    sync.Mutex
	text  bytes.Buffer
	found chan string
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var entry struct{ Msg, Issuer string }
	if json.Unmarshal(line, &entry) == nil && entry.Msg == "issuer serves" {
		l.found <- entry.Issuer
	}
	return l.text.Write(line)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
