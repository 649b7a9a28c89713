package clientjwks_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/signet/issuer/internal/clientjwks"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// loopback is where the tests' servers are.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// journal is a log to read. It is safe for concurrent use.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) count(text string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), text)
}

func (j *journal) log() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

// site is a client that publishes its keys, at any path, and counts the requests for them.
type site struct {
	mu           sync.Mutex
	names        []string         // guarded by mu: of the keys
	etag         string           // guarded by mu; "" sends none
	cacheControl string           // guarded by mu; "" sends none
	fail         http.HandlerFunc // guarded by mu; nil answers well
	slow         time.Duration    // guarded by mu: before any answer
	asked        []string         // guarded by mu: the ETags that requests named, "" for none
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	names, etag, cacheControl, fail, slow := s.names, s.etag, s.cacheControl, s.fail, s.slow
	s.asked = append(s.asked, r.Header.Get("If-None-Match"))
	s.mu.Unlock()
	if slow > 0 {
		select {
		case <-r.Context().Done():
			return
		case <-time.After(slow):
		}
	}
	if fail != nil {
		fail(w, r)
		return
	}
	if cacheControl != "" {
		w.Header().Set("Cache-Control", cacheControl)
	}
	if etag != "" {
		w.Header().Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	_, _ = w.Write(document(names...))
}

// change changes the site while it serves.
func (s *site) change(f func(s *site)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *site) fetches() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

func document(names ...string) []byte {
	text, err := keystest.Set(names...).MarshalJSON()
	if err != nil {
		panic(err)
	}
	return text
}

// kids are those of the fixed keys: reading a key takes longer than what is tested with it.
var kids = map[string]string{
	keystest.ES256: keystest.Key(keystest.ES256).ID(),
	keystest.RS256: keystest.Key(keystest.RS256).ID(),
}

func kid(name string) string { return kids[name] }

// pipes is a network without sockets. In a synctest bubble time passes on it only when nothing else happens, so that
// seconds and days cost nothing and are exact.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

const bubbleURI = "http://127.0.0.1/jwks" // the pipes lead wherever it may point

// inBubble makes Keys in the bubble that t is in, and a site that they reach. Both end with the test.
func inBubble(t *testing.T, cfg clientjwks.Config, s *site) *clientjwks.Keys {
	t.Helper()
	network := newPipes()
	server := &http.Server{Handler: s}
	go func() { _ = server.Serve(network) }()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	k := clientjwks.NewDialing(cfg, network.dial)
	t.Cleanup(func() { k.Close(); _ = server.Close() })
	return k
}

// sentinels are those that the package promises of its own.
var sentinels = []error{clientjwks.ErrUnavailable, clientjwks.ErrAddress, context.Canceled, context.DeadlineExceeded}

// wantUnavailable checks that err wraps ErrUnavailable and, of the other sentinels, just those that are named.
func wantUnavailable(t testing.TB, err error, also ...error) {
	t.Helper()
	for _, sentinel := range sentinels {
		want := sentinel == clientjwks.ErrUnavailable
		for _, a := range also {
			want = want || a == sentinel
		}
		if is := errors.Is(err, sentinel); is != want {
			t.Errorf("errors.Is(%v, %q) = %v", err, sentinel, is)
		}
	}
}

// get asks for keys and checks that the set has just the named ones.
func get(t testing.TB, k *clientjwks.Keys, uri, id string, names ...string) *keys.Set {
	t.Helper()
	set, err := k.Keys(context.Background(), uri, id)
	if err != nil {
		t.Errorf("refused: %v", err)
		return nil
	}
	for _, name := range names {
		if set.Key(kid(name)) == nil {
			t.Errorf("%s is not in the set", name)
		}
	}
	if set.Len() != len(names) {
		t.Errorf("%d keys, want %d", set.Len(), len(names))
	}
	return set
}

// wantFetches checks how many requests have come in since the site was made.
func wantFetches(t testing.TB, s *site, want int) {
	t.Helper()
	if n := s.fetches(); n != want {
		t.Errorf("%d fetches, want %d", n, want)
	}
}

// took checks how long ago start was, to the nanosecond of a bubble's clock.
func took(t testing.TB, start time.Time, want time.Duration) {
	t.Helper()
	if d := time.Since(start); d != want {
		t.Errorf("took %v, want %v", d, want)
	}
}

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func answer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
}

// trickle sends a space a second until the reader has gone.
func trickle(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		_, _ = w.Write([]byte(" "))
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(time.Second):
		}
	}
}

// eventually waits until a condition holds: for what another goroutine does over a real network. No test waits for time
// to pass this way.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("not in 10 s: %s", what)
}
