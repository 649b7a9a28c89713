package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
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

	"example.com/signet/resource/bearer"
	"example.com/signet/resource/internal/proxy"
	"example.com/signet/resource/verify"
)

// Every test stops its servers; what is left then is the proxy's.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// accepting is a verifier that accepts the token "good" as one with these claims.
type accepting struct{ claims verify.Claims }

var errBad = errors.New("a bad token")

func (a accepting) Verify(_ context.Context, token string) (verify.Claims, error) {
	if token != "good" {
		return verify.Claims{}, errBad
	}
	return a.claims, nil
}

// billing is the client that calls, for as long as its token is good.
func billing(good time.Duration) string {
	return fmt.Sprintf(`{"iss":"https://a.example","sub":"billing","client_id":"app-7","scope":"orders:read","exp":%d}`,
		time.Now().Add(good).Unix())
}

// stage is a guard and the proxy behind it, on a real server.
type stage struct {
	*httptest.Server
	log *buffer
}

// options are what differs from one test to the next; zero values are generous.
type options struct {
	claims            string // the token's
	maxBody           int64
	timeout, patience time.Duration
	server            time.Duration // ReadTimeout and WriteTimeout
	path              string        // of the upstream
	headers           bearer.HeaderNames
}

// newStage puts the proxy in front of the application at address.
func newStage(t *testing.T, address string, o options) *stage {
	t.Helper()
	claims, err := verify.InsecureClaims([]byte(either(o.claims, billing(time.Hour))))
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{log: new(buffer)}
	handler := newProxy(t, address, o, s.log)
	guarded := bearer.Guard{Verifier: accepting{claims}}.IsAuthorized(handler)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "id-1")
		guarded.ServeHTTP(w, r)
	}))
	s.Config.ReadTimeout, s.Config.WriteTimeout = either(o.server, 10*time.Second), either(o.server, 10*time.Second)
	s.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(s.log, nil), slog.LevelWarn)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func newProxy(t *testing.T, address string, o options, log io.Writer) http.Handler {
	t.Helper()
	headers, err := bearer.NewIdentityHeaders(o.headers)
	if err != nil {
		t.Fatal(err)
	}
	return proxy.New(proxy.Config{
		Upstream: &url.URL{Scheme: "http", Host: address, Path: o.path},
		Headers:  headers,
		MaxBody:  either(o.maxBody, 1<<20),
		Timeout:  either(o.timeout, 10*time.Second),
		Patience: either(o.patience, 10*time.Second),
		Log:      slog.New(slog.NewTextHandler(log, nil)),
		ID:       func(*http.Request) string { return "id-1" },
	})
}

func either[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// addr is what to dial.
func (s *stage) addr() string { return s.Listener.Addr().String() }

// send sends a request with a good token, given as method, path and headers (name, value, name, value).
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
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Token", "good")
	for i := 0; i < len(headers); i += 2 {
		r.Header[headers[i]] = append(r.Header[headers[i]], headers[i+1])
	}
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	resp, err := transport.RoundTrip(r) // follows no redirect
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	a := &answer{Response: resp}
	a.body, a.err = readAll(resp.Body)
	return a, nil
}

// answer is an answer that has been read to its end, or as far as it went.
type answer struct {
	*http.Response
	body string
	err  error
}

func readAll(r io.Reader) (string, error) {
	text, err := io.ReadAll(r)
	return string(text), err
}

func (a *answer) want(t *testing.T, status int, body string) {
	t.Helper()
	if a.StatusCode != status || a.body != body || a.err != nil {
		t.Errorf("got %d %q %v, want %d %q", a.StatusCode, a.body, a.err, status, body)
	}
}

// dial opens a connection that ends with the test, and by which no read waits for ever.
func (s *stage) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(3 * time.Second))
	return conn
}

// raw sends exactly these octets, and returns all that comes back until the connection closes.
func (s *stage) raw(t *testing.T, request string) string {
	t.Helper()
	conn := s.dial(t)
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	text, err := readAll(conn)
	var timeout net.Error
	if asTimeout(err, &timeout) {
		t.Errorf("no end after %q", text)
	}
	return text
}

// application records the requests that reach it.
type application struct {
	*httptest.Server
	mu   sync.Mutex
	seen []*arrived
}

// arrived is a request as the application got it.
type arrived struct {
	*http.Request
	body string
	err  error // of reading it
}

// newApplication answers each request with "ok", or as answer does; the body has been read by then.
func newApplication(t *testing.T, answer http.HandlerFunc) *application {
	t.Helper()
	app := new(application)
	app.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := readAll(r.Body)
		app.mu.Lock()
		app.seen = append(app.seen, &arrived{r, body, err})
		app.mu.Unlock()
		if answer != nil {
			answer(w, r)
			return
		}
		_, _ = io.WriteString(w, "ok")
	}))
	t.Cleanup(app.Close)
	return app
}

func (a *application) addr() string { return a.Listener.Addr().String() }

// requests returns what has arrived so far.
func (a *application) requests() []*arrived {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]*arrived(nil), a.seen...)
}

// only returns the one request that has arrived.
func (a *application) only(t *testing.T) *arrived {
	t.Helper()
	all := a.requests()
	if len(all) != 1 {
		t.Fatalf("%d requests reached the application, want 1", len(all))
	}
	return all[0]
}

// wantNothing checks that the application was not bothered.
func (a *application) wantNothing(t *testing.T) {
	t.Helper()
	if n := len(a.requests()); n != 0 {
		t.Errorf("%d requests reached the application", n)
	}
}

// newRawApplication serves each connection by hand, and returns its address. The connection closes when serve returns.
func newRawApplication(t *testing.T, serve func(conn net.Conn, in *bufio.Reader)) string {
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
				_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
				serve(conn, bufio.NewReader(conn))
			})
		}
	})
	return listener.Addr().String()
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

// statusOf returns the first line of a head, "" where nothing came.
func statusOf(head []string) string {
	if len(head) == 0 {
		return ""
	}
	return head[0]
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

func asTimeout(err error, timeout *net.Error) bool {
	return errors.As(err, timeout) && (*timeout).Timeout()
}
