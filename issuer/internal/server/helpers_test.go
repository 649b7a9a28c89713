package server_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/limit"
	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/issuer/internal/server"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

const (
	issuer = "https://issuer.example.com"
	secret = "correct-horse-battery-staple"
	urn    = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// site is the issuer over real HTTP on loopback, with a log that the test can read.
type site struct {
	*httptest.Server
	clock *keystest.Clock
	log   *buffer

	mu      sync.Mutex
	secrets []string // guarded by mu: what was sent and must not be in the log
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// newSite starts the public handler; change may alter its configuration. When the test ends, the log is searched for
// every credential and token that went over the wire.
func newSite(t *testing.T, change ...func(*server.Config)) *site {
	t.Helper()
	s := &site{clock: keystest.NewClock(), log: &buffer{}}
	cfg := s.config(t)
	for _, c := range change {
		c(&cfg)
	}
	handlers, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewServer(handlers.Public)
	t.Cleanup(func() {
		s.Close() // waits for the handlers, so the log is whole
		s.checkLog(t)
	})
	return s
}

func (s *site) config(t testing.TB) server.Config {
	t.Helper()
	ring, err := keys.NewRing(
		keys.RingKey{Key: keystest.Key(keystest.ES256), SignsFrom: s.clock.Now().Add(-time.Hour)},
		keys.RingKey{Key: keystest.Key(keystest.RS256), SignsFrom: s.clock.Now().Add(-time.Hour)},
		keys.RingKey{Key: keystest.Key(keystest.ES256Other), SignsFrom: s.clock.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	endpoint, err := oauth.New(oauth.Config{
		Issuer:   issuer,
		Registry: fixed(readRegistry(t)),
		Keys:     ring,
		Spent:    newSpent(s.clock.Now),
		Now:      s.clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return server.Config{
		Issuer: issuer,
		Token:  endpoint.Token,
		Ring:   func() *keys.Ring { return ring },
		MaxAge: 5 * time.Minute,
		Ready:  func() error { return nil },
		Survey: func() []keys.Survey {
			policy := keys.Policy{RotateEvery: 2 * time.Hour, PublishAhead: time.Hour, Retention: time.Hour}
			return policy.Survey(ring, s.clock.Now())
		},
		Trouble:  func() error { return nil },
		Registry: func() server.RegistryStatus { return server.RegistryStatus{Clients: 1, Loaded: s.clock.Now()} },
		Database: func(context.Context) error { return nil },
		Health:   func(context.Context) []server.Health { return nil },

		Addresses: buckets(t, 1000, s.clock.Now),
		InFlight:  make(limit.Slots, 100),

		Log:   log,
		Audit: log,
		Now:   s.clock.Now,
	}
}

// buckets let so many requests of an address through, and as many a second after that.
func buckets(t testing.TB, n int, now func() time.Time) *limit.Buckets[netip.Prefix] {
	t.Helper()
	b, err := limit.NewBuckets[netip.Prefix](1<<16, n, n, now)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fixed is a registry that is always the same.
func fixed(registry *clients.Registry) func() oauth.Registry {
	return func() oauth.Registry { return registry }
}

func readRegistry(t testing.TB) *clients.Registry {
	t.Helper()
	dir := t.TempDir()
	public, err := keystest.Key(keystest.RS256Other).Public().MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(secret))
	text := fmt.Sprintf(`resources:
  - {audience: 'https://api.example.com', scopes: [read]}
clients:
  - id: billing
    keys: [{file: client.pub}]
    secrets: [{sha256: %s}]
    allow: [{resource: 'https://api.example.com', scopes: [read], default_scopes: [read]}]
`, hex.EncodeToString(digest[:]))
	path := filepath.Join(dir, "registry.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "client.pub"), public, 0o600); err != nil {
		t.Fatal(err)
	}
	registry, err := clients.ReadFile(path, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return registry
}

// keep notes what must not be in the log.
func (s *site) keep(secrets ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range secrets {
		if len(secret) >= 8 { // shorter ones are in any log by chance
			s.secrets = append(s.secrets, secret)
		}
	}
}

func (s *site) checkLog(t *testing.T) {
	t.Helper()
	log := s.log.String()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range s.secrets {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %q:\n%s", secret, log)
		}
	}
}

// audit are the events of the audit trail with that name.
func (s *site) audit(t *testing.T, event string) []map[string]any {
	t.Helper()
	var found []map[string]any
	for _, line := range s.lines(t, "audit") {
		if line["event"] == event {
			found = append(found, line)
		}
	}
	return found
}

// lines are the lines of the log with that message.
func (s *site) lines(t *testing.T, message string) []map[string]any {
	t.Helper()
	var found []map[string]any
	for text := range strings.Lines(s.log.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("log line %q: %v", text, err)
		}
		if line["msg"] == message {
			found = append(found, line)
		}
	}
	return found
}

// answer is an answer, read to its end.
type answer struct {
	*http.Response
	body string
}

// do sends a request and reads the answer. It follows no redirect.
func (s *site) do(t *testing.T, r *http.Request) answer {
	t.Helper()
	for _, value := range r.Header.Values("Authorization") {
		s.keep(value)
		_, credentials, _ := strings.Cut(value, " ")
		decoded, _ := base64.StdEncoding.DecodeString(credentials)
		_, password, _ := strings.Cut(string(decoded), ":")
		s.keep(credentials, string(decoded), password)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var granted struct {
		AccessToken string `json:"access_token"`
	}
	if json.Unmarshal(body, &granted) == nil {
		s.keep(granted.AccessToken)
	}
	return answer{response, string(body)}
}

// request makes a request to the site; headers are names and values in turn.
func (s *site) request(t *testing.T, method, path, body string, headers ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func (s *site) get(t *testing.T, path string, headers ...string) answer {
	t.Helper()
	return s.do(t, s.request(t, http.MethodGet, path, "", headers...))
}

// post sends a form to the token endpoint; headers are added to those that a form needs.
func (s *site) post(t *testing.T, form url.Values, headers ...string) answer {
	t.Helper()
	s.keep(form["client_secret"]...)
	s.keep(form["client_assertion"]...)
	r := s.request(t, http.MethodPost, "/oauth2/token", form.Encode(), headers...)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.do(t, r)
}

// form is a body: names and values in turn.
func form(pairs ...string) url.Values {
	values := url.Values{"grant_type": {"client_credentials"}}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return values
}

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}
