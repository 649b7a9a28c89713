package tokens_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"example.com/signet/client/tokens"
	"example.com/signet/keys/keystest"
)

const invalidTokenChallenge = `Bearer realm="orders", error="invalid_token", error_description="revoked"`

// resource is a resource server on loopback that refuses the tokens it is told to.
type resource struct {
	*httptest.Server
	mu      sync.Mutex
	refused func(token string) bool // guarded by mu
	calls   []call                  // guarded by mu
}

type call struct {
	token string
	body  string
}

func newResource(tb testing.TB, refused func(token string) bool) *resource {
	tb.Helper()
	r := &resource{refused: refused}
	r.Server = httptest.NewServer(r)
	tb.Cleanup(r.Close)
	return r
}

func (r *resource) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	token := req.Header.Get("Token")
	r.mu.Lock()
	refused := r.refused(token)
	r.mu.Unlock()
	text := []byte("unread")
	if !refused || req.Header.Get("Unread") == "" { // otherwise it answers before it has read anything
		text, _ = io.ReadAll(req.Body)
	}
	r.mu.Lock()
	r.calls = append(r.calls, call{token, string(text)})
	r.mu.Unlock()
	if refused {
		w.Header().Set("WWW-Authenticate", invalidTokenChallenge)
		w.WriteHeader(http.StatusUnauthorized)
	}
	_, _ = io.WriteString(w, "for "+token)
}

// Calls returns the calls so far.
func (r *resource) Calls() []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

func only(token string) func(string) bool { return func(got string) bool { return got == token } }
func every(string) bool                   { return true }

// renewing returns a source for r, and a client that uses it.
func renewing(t *testing.T, i *issuer, r *resource, clock *keystest.Clock) (*tokens.Source, *http.Client) {
	t.Helper()
	cfg := config(t, i)
	cfg.Origin, cfg.Now = r.URL, clock.Now
	source := newSource(t, cfg)
	return source, &http.Client{Transport: source.Transport(cfg.HTTPClient.Transport)}
}

// wantAnswer reads the answer to a request and fails the test unless it is this one.
func wantAnswer(t *testing.T, resp *http.Response, err error, status int, text string) {
	t.Helper()
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if resp.StatusCode != status || string(got) != text || err != nil {
		t.Errorf("got %d %q %v, want %d %q", resp.StatusCode, got, err, status, text)
	}
}

// stream is a body that can be read once only, and says when it is closed.
type stream struct {
	io.Reader
	mu     sync.Mutex
	closed int // guarded by mu
}

func (s *stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
	return nil
}

func (s *stream) Closed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed > 0
}
