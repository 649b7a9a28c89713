package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/limit"
	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/issuer/internal/server"
	"example.com/signet/keys/keystest"
)

// twoClients is a registry with two clients that may do the same, and one that is disabled. SECRET is its digest.
const twoClients = `resources:
  - {audience: 'https://api.example.com', scopes: [read, write]}
  - {audience: 'https://rs.example.com', algorithm: RS256, scopes: [read]}
clients:
  - id: billing
    keys: [{file: client.pub}]
    secrets: [{sha256: SECRET}]
    default_resource: https://api.example.com
    allow:
      - {resource: 'https://api.example.com', scopes: [read, write], default_scopes: [read]}
      - {resource: 'https://rs.example.com', scopes: [read], default_scopes: [read]}
  - id: shipping
    secrets: [{sha256: SECRET}]
    allow: [{resource: 'https://api.example.com', scopes: [read], default_scopes: [read]}]
  - id: gone
    enabled: false
    secrets: [{sha256: SECRET}]
    allow: [{resource: 'https://api.example.com', scopes: [read], default_scopes: [read]}]
`

// secretDigest is what the registry keeps of the secret, and secretName how the audit trail names it.
const (
	secretDigest = "87cbebfeebc05f7c54ac9336c4b4bbec831227a641951a4bde7edd56020f8590"
	secretName   = "87cbebfe"
)

func registryFrom(t testing.TB, text string) *clients.Registry {
	t.Helper()
	dir := t.TempDir()
	public, err := keystest.Key(keystest.RS256Other).Public().MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "registry.yaml")
	text = strings.ReplaceAll(text, "SECRET", secretDigest)
	for name, content := range map[string][]byte{path: []byte(text), filepath.Join(dir, "client.pub"): public} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	registry, err := clients.ReadFile(path, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return registry
}

// withEndpoint has requests answered by an endpoint of its own, with two clients; change may alter its configuration.
func withEndpoint(t testing.TB, change ...func(*oauth.Config)) func(*server.Config) {
	return func(c *server.Config) {
		cfg := oauth.Config{
			Issuer:   issuer,
			Registry: fixed(registryFrom(t, twoClients)),
			Keys:     c.Ring(),
			Spent:    newSpent(c.Now),
			Now:      c.Now,
			NewID:    func() string { return "a-token-id" },
		}
		for _, alter := range change {
			alter(&cfg)
		}
		endpoint, err := oauth.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		c.Token = endpoint.Token
	}
}

// addressLimit lets so many requests a second of an address through, and burst at once.
func addressLimit(t testing.TB, perSecond, burst int) func(*server.Config) {
	return func(c *server.Config) {
		var err error
		if c.Addresses, err = limit.NewBuckets[netip.Prefix](1<<16, perSecond, burst, c.Now); err != nil {
			t.Fatal(err)
		}
	}
}

// assertion is a client assertion that is good for a minute.
func assertion(now time.Time, client, jti string) string {
	return keystest.Forge(keystest.RS256Other,
		fmt.Sprintf(`{"alg":"RS256","kid":%q}`, keystest.Key(keystest.RS256Other).ID()),
		fmt.Sprintf(`{"iss":%q,"sub":%q,"aud":%q,"exp":%d,"jti":%q}`, client, client, issuer, now.Unix()+60, jti))
}

// direct is the issuer without sockets: its handlers, and its log.
type direct struct {
	*site
	server.Handlers
}

func newDirect(t testing.TB, change ...func(*server.Config)) *direct {
	t.Helper()
	d := &direct{site: &site{clock: keystest.NewClock(), log: &buffer{}}}
	cfg := d.config(t)
	for _, c := range change {
		c(&cfg)
	}
	var err error
	if d.Handlers, err = server.New(cfg); err != nil {
		t.Fatal(err)
	}
	return d
}

// serve answers a request that comes from an address; headers are names and values in turn.
func serve(h http.Handler, from, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr = from
	for i := 0; i < len(headers); i += 2 {
		r.Header[http.CanonicalHeaderKey(headers[i])] = append(r.Header.Values(headers[i]), headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// ask is a token request of billing at the public handler, from an address.
func (d *direct) ask(from string, headers ...string) *httptest.ResponseRecorder {
	headers = append([]string{"Content-Type", "application/x-www-form-urlencoded", "Authorization", basic("billing",
		secret)},
		headers...)
	return serve(d.Public, from, http.MethodPost, "/oauth2/token", form().Encode(), headers...)
}

// events are the audit events so far, without what differs from run to run, and takes them out of the log.
func (d *direct) events(t testing.TB) []map[string]any {
	t.Helper()
	d.log.mu.Lock()
	defer d.log.mu.Unlock()
	var found []map[string]any
	for text := range bytes.Lines(d.log.text.Bytes()) {
		var line map[string]any
		if err := json.Unmarshal(text, &line); err != nil {
			t.Fatalf("log line %q: %v", text, err)
		}
		if line["msg"] == "audit" {
			delete(line, "msg")
			delete(line, "time")
			if took, ok := line["duration_us"].(float64); !ok || took < 0 {
				t.Errorf("duration_us %v", line["duration_us"])
			}
			delete(line, "duration_us")
			found = append(found, line)
		}
	}
	d.log.text.Reset()
	return found
}
