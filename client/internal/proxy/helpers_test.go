package proxy_test

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/signet/client/internal/proxy"
	"example.com/signet/client/tokens"
)

// Every test stops its servers; what is left then is the proxy's.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// issuer gives a new token to whoever asks: live-token-1, live-token-2 and so on.
type issuer struct {
	*httptest.Server
	mu     sync.Mutex
	given  int              // guarded by mu
	answer http.HandlerFunc // of the token endpoint; guarded by mu
}

const tokenPrefix = "live-token-"

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		answer := i.answer
		i.mu.Unlock()
		switch {
		case r.URL.Path != "/token":
			_ = json.NewEncoder(w).Encode(map[string]string{"issuer": i.URL, "token_endpoint": i.URL + "/token"})
		case answer != nil:
			answer(w, r)
		default:
			i.give(w)
		}
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) give(w http.ResponseWriter) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.given++
	_ = json.NewEncoder(w).Encode(map[string]any{
		"access_token": fmt.Sprint(tokenPrefix, i.given), "token_type": "Bearer", "expires_in": 600})
}

func (i *issuer) answers(h http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = h
}

// options are what differs from one test to the next; zero values are usual.
type options struct {
	issuer     *issuer
	header     tokens.Header
	credential tokens.Credential
	server     time.Duration // ReadTimeout and WriteTimeout
}

// stage is the proxy on a real server.
type stage struct {
	*httptest.Server
	log    *buffer
	caller *http.Transport // keeps connections open, as programs do
}

// newStage puts the proxy before the API at upstream.
func newStage(t *testing.T, upstream string, o options) *stage {
	t.Helper()
	if o.issuer == nil {
		o.issuer = newIssuer(t)
	}
	if o.credential == nil {
		o.credential = tokens.Secret("s3cret-of-the-client")
	}
	source, err := tokens.New(tokens.Config{
		Issuer: o.issuer.URL, ClientID: "demo", Credential: o.credential, Origin: upstream, Header: o.header})
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{log: new(buffer), caller: &http.Transport{DisableCompression: true}}
	log := slog.New(slog.NewTextHandler(s.log, nil))
	base := &http.Transport{DisableCompression: true}
	s.Server = httptest.NewUnstartedServer(proxy.New(proxy.Config{Upstream: target, Source: source, Base: base, Log: log}))
	s.Config.ReadTimeout, s.Config.WriteTimeout = cmp.Or(o.server, 20*time.Second), cmp.Or(o.server, 20*time.Second)
	s.Config.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	s.Start()
	t.Cleanup(func() {
		s.caller.CloseIdleConnections()
		s.Close()
		source.Close()
		base.CloseIdleConnections()
		if text := s.log.String(); strings.Contains(text, tokenPrefix) || strings.Contains(text, "s3cret") {
			t.Errorf("a token or a secret is in the log: %s", text)
		}
		if text := s.log.String(); strings.Contains(text, "panic") {
			t.Errorf("it panicked: %s", text)
		}
	})
	return s
}

// send sends a request, given as method, path and headers (name, value, name, value).
func (s *stage) send(t *testing.T, method, path string, body io.Reader, headers ...string) *answer {
	t.Helper()
	a, err := s.try(t, method, path, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// try is send where there may be no answer at all.
func (s *stage) try(t *testing.T, method, path string, body io.Reader, headers ...string) (*answer, error) {
	t.Helper()
	resp, err := s.begin(t, method, path, body, headers...)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if strings.Contains(string(text)+fmt.Sprint(resp.Header), tokenPrefix) {
		t.Errorf("a token is in the answer: %v %s", resp.Header, text)
	}
	return &answer{resp, string(text), err}, nil
}

// begin is send for answers that go on.
func (s *stage) begin(t *testing.T, method, path string, body io.Reader, headers ...string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header[headers[i]] = append(r.Header[headers[i]], headers[i+1])
	}
	return s.caller.RoundTrip(r) // follows no redirect
}

// answer is an answer that has been read to its end, or as far as it went.
type answer struct {
	*http.Response
	body string
	err  error
}

func (a *answer) want(t *testing.T, status int, body string) {
	t.Helper()
	if a.StatusCode != status || a.body != body || a.err != nil {
		t.Errorf("got %d %q %v, want %d %q", a.StatusCode, a.body, a.err, status, body)
	}
}

// raw sends exactly these octets, and returns all that comes back until the connection closes.
func (s *stage) raw(t *testing.T, request string) string {
	t.Helper()
	conn := s.dial(t)
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Errorf("%v after %q", err, text)
	}
	return string(text)
}

// dial opens a connection that ends with the test, and on which nothing waits for ever.
func (s *stage) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

// api records the requests that reach it.
type api struct {
	*httptest.Server
	mu   sync.Mutex
	seen []*http.Request // guarded by mu
}

// newAPI answers each request with "ok", or as answer does.
func newAPI(t *testing.T, answer http.HandlerFunc) *api {
	t.Helper()
	a := new(api)
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.seen = append(a.seen, r)
		a.mu.Unlock()
		if answer != nil {
			answer(w, r)
			return
		}
		_, _ = io.WriteString(w, "ok")
	}))
	t.Cleanup(a.Close)
	return a
}

// requests returns what has arrived so far.
func (a *api) requests() []*http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]*http.Request(nil), a.seen...)
}

// only returns the one request that has arrived.
func (a *api) only(t *testing.T) *http.Request {
	t.Helper()
	all := a.requests()
	if len(all) != 1 {
		t.Fatalf("%d requests reached the API, want 1", len(all))
	}
	return all[0]
}

// newRawAPI serves each connection by hand, and returns its address. The connection closes when serve returns.
func newRawAPI(t *testing.T, serve func(conn net.Conn, in *bufio.Reader)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); serving.Wait() })
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
				serve(conn, bufio.NewReader(conn))
			})
		}
	})
	return "http://" + listener.Addr().String()
}

// readHead reads the lines before the body.
func readHead(in *bufio.Reader) (lines []string) {
	for {
		line, err := in.ReadString('\n')
		line = strings.TrimRight(line, "\r\n")
		if err != nil || line == "" {
			return lines
		}
		lines = append(lines, line)
	}
}

// saying answers each request with these octets and closes the connection.
func saying(t *testing.T, answer string) string {
	t.Helper()
	return newRawAPI(t, func(conn net.Conn, in *bufio.Reader) {
		readHead(in)
		_, _ = io.WriteString(conn, answer)
	})
}

// nobody is an address where nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	return "http://" + listener.Addr().String()
}

// buffer is a [bytes.Buffer] that goroutines may share.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(data)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
