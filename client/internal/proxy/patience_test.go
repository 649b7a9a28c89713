package proxy_test

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/signet/client/internal/proxy"
	"example.com/signet/client/tokens"
)

// roundTrip is an API within a bubble, where no network is.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// bubble serves the proxy before an API on one connection, ours, until the test ends.
func bubble(t *testing.T, api roundTrip) (ours net.Conn) {
	t.Helper()
	good, err := tokens.NewToken(tokenPrefix+"1", time.Now().Add(24*time.Hour), "")
	if err != nil {
		t.Fatal(err)
	}
	source, err := tokens.New(tokens.Config{Issuer: "https://issuer.example.com", ClientID: "demo", Credential: tokens.Secret("s3cret"),
		Origin: "https://api.example.com", Initial: good})
	if err != nil {
		t.Fatal(err)
	}
	handler := proxy.New(proxy.Config{Upstream: &url.URL{Scheme: "https", Host: "api.example.com"}, Source: source, Base: api,
		Log: slog.New(slog.DiscardHandler)})
	ours, theirs := net.Pipe()
	l := &once{conn: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.conn <- theirs
	server := &http.Server{Handler: handler, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelWarn)}
	ended := make(chan struct{})
	go func() { _ = server.Serve(l); close(ended) }()
	t.Cleanup(func() {
		_ = ours.Close()
		_ = server.Close()
		<-ended
		source.Close()
	})
	return ours
}

// once is a listener that accepts one connection.
type once struct {
	conn   chan net.Conn
	closed chan struct{}
	sync.Once
}

func (l *once) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conn:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *once) Close() error   { l.Do(func() { close(l.closed) }); return nil }
func (l *once) Addr() net.Addr { return &net.TCPAddr{} }

func answerOf(body io.ReadCloser) *http.Response {
	return &http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Header: make(http.Header), ContentLength: -1, Body: body}
}

// A stream lasts as long as its pieces come within a minute of one another, in either direction.
func TestSlowStreams(t *testing.T) {
	const pieces, pause = 20, 50 * time.Second
	t.Run("down", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			conn := bubble(t, func(*http.Request) (*http.Response, error) {
				r, w := io.Pipe()
				go drip(w, pieces, pause)
				return answerOf(r), nil
			})
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
			text, err := io.ReadAll(conn)
			if err != nil || strings.Count(string(text), "1\r\nx\r\n") != pieces || !strings.HasSuffix(string(text), "0\r\n\r\n") {
				t.Errorf("got %q %v", text, err)
			}
		})
	})
	t.Run("up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			conn := bubble(t, func(r *http.Request) (*http.Response, error) {
				text, err := io.ReadAll(r.Body)
				if err != nil || len(text) != pieces {
					t.Errorf("the API got %q %v", text, err)
				}
				return answerOf(http.NoBody), nil
			})
			_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 20\r\n\r\n")
			go func() {
				for range pieces {
					time.Sleep(pause)
					_, _ = io.WriteString(conn, "x")
				}
			}()
			if text, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 200 ") {
				t.Errorf("got %q %v", text, err)
			}
		})
	})
	t.Run("late to begin", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			conn := bubble(t, func(*http.Request) (*http.Response, error) {
				time.Sleep(time.Hour)
				return answerOf(http.NoBody), nil
			})
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
			if text, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 200 ") {
				t.Errorf("got %q %v", text, err)
			}
		})
	})
}

// drip writes so many pieces, each after a pause.
func drip(w *io.PipeWriter, pieces int, pause time.Duration) {
	for range pieces {
		time.Sleep(pause)
		if _, err := io.WriteString(w, "x"); err != nil {
			return
		}
	}
	_ = w.Close()
}

// Who takes nothing, or sends nothing, is cut off after a minute: nobody holds a connection to the API.
func TestStuckCallers(t *testing.T) {
	t.Run("takes nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			began, cut := time.Now(), make(chan time.Duration, 1)
			conn := bubble(t, func(*http.Request) (*http.Response, error) {
				r, w := io.Pipe()
				go func() {
					for time.Sleep(time.Second); ; { // by then the head has been taken
						if _, err := io.WriteString(w, "x"); err != nil {
							cut <- time.Since(began)
							return
						}
					}
				}()
				return answerOf(r), nil
			})
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
			readHead(bufio.NewReaderSize(conn, 16))
			if took := <-cut; took < 50*time.Second || took > 70*time.Second {
				t.Errorf("cut off after %v", took)
			}
		})
	})
	t.Run("sends nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			began, cut := time.Now(), make(chan time.Duration, 1)
			conn := bubble(t, func(r *http.Request) (*http.Response, error) {
				_, err := io.ReadAll(r.Body)
				cut <- time.Since(began)
				return nil, err
			})
			_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\nhalf")
			go func() { _, _ = io.Copy(io.Discard, conn) }()
			if took := <-cut; took < 50*time.Second || took > 70*time.Second {
				t.Errorf("cut off after %v", took)
			}
		})
	})
}
