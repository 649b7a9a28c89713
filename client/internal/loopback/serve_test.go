package loopback_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/signet/client/internal/loopback"
)

// serve serves for as long as the test lasts, and returns the address.
func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	listener, err := loopback.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server(handler, io.Discard).Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return listener.Addr().String()
}

func server(handler http.Handler, log io.Writer) loopback.Server {
	return loopback.Server{Handler: handler, Timeout: time.Minute, Log: slog.New(slog.NewTextHandler(log, nil))}
}

func TestListen(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, address string
		isOurs        bool
	}{
		{"all addresses", "0.0.0.0:0", false},
		{"all addresses, by leaving it out", ":0", false},
		{"all addresses of IPv6", "[::]:0", false},
		{"another machine's", "192.0.2.1:0", false},
		{"a name", "evil.example:0", false},
		{"a name that begins like ours", "127.0.0.1.example.com:0", false},
		{"empty", "", false},
		{"IPv4", "127.0.0.1:0", true},
		{"another IPv4", "127.0.0.2:0", true},
		{"name", "localhost:0", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			listener, err := loopback.Listen(t.Context(), row.address)
			if err == nil {
				defer listener.Close()
			}
			if !row.isOurs {
				if !errors.Is(err, loopback.ErrAddress) {
					t.Errorf("got %v, want %v", err, loopback.ErrAddress)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if at, ok := listener.Addr().(*net.TCPAddr); !ok || !at.IP.IsLoopback() {
				t.Errorf("it listens on %v", listener.Addr())
			}
		})
	}
}

// A port that is missing or taken is an error of its own.
func TestListenFails(t *testing.T) {
	t.Parallel()
	taken, err := loopback.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, address := range []string{"127.0.0.1", "127.0.0.1:99999", "127.0.0.1:x", taken.Addr().String()} {
		listener, err := loopback.Listen(t.Context(), address)
		if err == nil {
			_ = listener.Close()
		}
		if err == nil || errors.Is(err, loopback.ErrAddress) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// Requests that are under way when the end comes are answered.
func TestServeEnds(t *testing.T) {
	t.Parallel()
	listener, err := loopback.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	arrived, goOn := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-goOn
		if r.Context().Err() != nil {
			t.Error("the request was given up")
		}
		_, _ = io.WriteString(w, "whole")
	})
	ended := make(chan error, 1)
	go func() { ended <- server(handler, io.Discard).Serve(ctx, listener) }()
	answered := make(chan string, 1)
	go func() {
		answered <- send(t, listener.Addr().String(), "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	}()
	<-arrived
	stop()
	eventuallyRefused(t, listener.Addr().String())
	close(goOn)
	if got := <-answered; got != "HTTP/1.1 200 OK\r\nwhole" {
		t.Errorf("got %q", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("got %v, want none", err)
	}
}

// eventuallyRefused waits until nobody is let in any more.
func eventuallyRefused(t *testing.T, address string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		_ = conn.Close()
	}
	t.Error("it still listens")
}

// A request that does not end is cut off after ten seconds, which is no failure, and is said.
func TestServeDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := newPipe()
		ctx, stop := context.WithCancel(t.Context())
		release := make(chan struct{})
		handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release })
		log := new(buffer)
		ended := make(chan error, 1)
		go func() { ended <- server(handler, log).Serve(ctx, listener) }()
		conn := listener.dial()
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		stop()
		began := time.Now()
		if err := <-ended; err != nil {
			t.Errorf("got %v, want none", err)
		}
		if took := time.Since(began); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("it took %v", took)
		}
		if _, err := io.ReadAll(conn); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the connection is still open: %v", err)
		}
		if !strings.Contains(log.String(), "requests were cut off") {
			t.Errorf("the log is silent about it: %s", log)
		}
		close(release)
	})
}

// A header that does not end, and a body that nobody reads on, do not hold a connection.
func TestServeIsNotHeld(t *testing.T) {
	for _, row := range []struct {
		name, request string
		longest       time.Duration
	}{
		{"nothing", "", 6 * time.Second},
		{"half a header", "GET / HTTP/1.1\r\nHost: loc", 6 * time.Second},
		{"half a body", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf", 11 * time.Second},
		{"an answer, and then nothing", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 121 * time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				listener := newPipe()
				ctx, stop := context.WithCancel(t.Context())
				handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
				ended := make(chan error, 1)
				go func() { ended <- server(handler, io.Discard).Serve(ctx, listener) }()
				conn := listener.dial()
				defer conn.Close()
				began := time.Now()
				go func() { _, _ = io.WriteString(conn, row.request) }()
				_, _ = io.Copy(io.Discard, conn)
				if took := time.Since(began); took > row.longest {
					t.Errorf("it was held for %v", took)
				}
				stop()
				<-ended
			})
		})
	}
}

// pipe is a listener within a bubble, where no network is.
type pipe struct {
	accepted chan net.Conn
	once     sync.Once
	closed   chan struct{}
}

func newPipe() *pipe { return &pipe{accepted: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipe) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.accepted <- theirs
	return ours
}

func (p *pipe) Accept() (net.Conn, error) {
	select {
	case conn := <-p.accepted:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipe) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipe) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// A listener that fails is an error.
func TestServeFails(t *testing.T) {
	t.Parallel()
	listener := newPipe()
	_ = listener.Close()
	if err := server(http.NotFoundHandler(), io.Discard).Serve(t.Context(), listener); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want %v", err, net.ErrClosed)
	}
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
