package tokens_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/signet/client/tokens"
)

// closeAll calls Close and fails when it hangs.
func closeAll(t *testing.T, sources ...*tokens.Source) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, source := range sources {
			source.Close()
		}
	}()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("Close has not returned within 5 s")
	}
}

// wantClosed fails the test unless everything that the source can be asked says that it is closed.
func wantClosed(t *testing.T, source *tokens.Source) {
	t.Helper()
	if token, err := source.Token(t.Context()); err != tokens.ErrClosed || token != (tokens.Token{}) {
		t.Errorf("Token: got %v and %v, want exactly %v", token, err, tokens.ErrClosed)
	}
	if token, err := source.TokenSource(t.Context()).Token(); err != tokens.ErrClosed || token != nil {
		t.Errorf("TokenSource: got %v and %v, want exactly %v", token, err, tokens.ErrClosed)
	}
	other, err := source.For(tokens.Target{Scope: []string{"other"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Token(t.Context()); err != tokens.ErrClosed {
		t.Errorf("For: got %v, want exactly %v", err, tokens.ErrClosed)
	}
}

// These tests are not parallel: they look at all goroutines of the process. Those of the issuer for a connection end
// with the connection, so they are part of what has to go.
func TestCloseLeavesNothing(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc // of the token endpoint; nil grants
		use    func(t *testing.T, i *issuer, source *tokens.Source)
	}{
		{"never used", nil, func(*testing.T, *issuer, *tokens.Source) {}},
		{"with a token, connection and timer", nil, func(t *testing.T, _ *issuer, source *tokens.Source) {
			wantToken(t, source, "token-1")
		}},
		{"several targets", nil, func(t *testing.T, _ *issuer, source *tokens.Source) {
			for _, scope := range []string{"a", "b", "c"} {
				other, err := source.For(tokens.Target{Scope: []string{scope}})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := other.Token(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}},
		{"while the issuer hangs", hang, waitForIt},
		{"while the answer's body hangs", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			hang(w, r)
		}, waitForIt},
		{"while it pauses", later(http.StatusServiceUnavailable, "2"), waitForIt},
		{"while the issuer is left alone", answer(http.StatusUnauthorized, invalidClient), func(t *testing.T, _ *issuer, source *tokens.Source) {
			if _, err := source.Token(t.Context()); !errors.Is(err, tokens.ErrRefused) {
				t.Errorf("got %v, want %v", err, tokens.ErrRefused)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			i := newIssuer(t)
			i.Answer(test.answer)
			before := goleak.IgnoreCurrent()
			cfg := config(t, i)
			cfg.HTTPClient = nil
			source, err := tokens.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			test.use(t, i, source)
			closeAll(t, source)
			wantClosed(t, source)
			asked := len(i.Requests())
			closeAll(t, source, source)
			goleak.VerifyNone(t, before)
			if len(i.Requests()) != asked {
				t.Error("the issuer was asked after Close")
			}
		})
	}
}

// waitForIt leaves callers waiting, whose error is looked at when the test ends.
func waitForIt(t *testing.T, i *issuer, source *tokens.Source) {
	var waits atomic.Int64
	var callers sync.WaitGroup
	for range 10 {
		callers.Go(func() {
			if _, err := source.Token(waitingContext{context.Background(), &waits}); err != tokens.ErrClosed {
				t.Errorf("who waited got %v, want exactly %v", err, tokens.ErrClosed)
			}
		})
	}
	t.Cleanup(callers.Wait)
	eventually(t, "callers wait", func() bool { return waits.Load() == 10 && len(i.Requests()) == 1 })
}

// What stands between us and the issuer may accept a connection and say nothing.
func TestCloseDuringHandshake(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	before := goleak.IgnoreCurrent()
	source, err := tokens.New(tokens.Config{
		Issuer:     "https://" + listener.Addr().String(),
		ClientID:   "billing",
		Credential: tokens.Secret("secret"),
	})
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan error, 1)
	go func() {
		_, err := source.Token(context.Background())
		answers <- err
	}()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	closeAll(t, source)
	if err := <-answers; err != tokens.ErrClosed {
		t.Errorf("got %v, want exactly %v", err, tokens.ErrClosed)
	}
	goleak.VerifyNone(t, before)
}

func TestCloseOfOneIsCloseOfAll(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		close func(first, second *tokens.Source)
	}{
		{"of the first", func(first, _ *tokens.Source) { first.Close() }},
		{"of one that it has made", func(_, second *tokens.Source) { second.Close() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			first := newSource(t, config(t, newIssuer(t)))
			second, err := first.For(tokens.Target{Scope: []string{"other"}})
			if err != nil {
				t.Fatal(err)
			}
			token := wantToken(t, first, "token-1")
			wantToken(t, second, "token-2")
			test.close(first, second)
			wantClosed(t, first)
			wantClosed(t, second)
			first.Invalidate(token) // is no more than nothing
			wantClosed(t, first)
		})
	}
}

// closing is a RoundTripper of a caller, who has other uses for it.
type closing struct {
	http.RoundTripper
	closed atomic.Int64
}

func (c *closing) CloseIdleConnections() { c.closed.Add(1) }

func TestCloseLeavesCallersConnections(t *testing.T) {
	t.Parallel()
	cfg := config(t, newIssuer(t))
	base := &closing{RoundTripper: cfg.HTTPClient.Transport}
	cfg.HTTPClient.Transport = base
	source := newSource(t, cfg)
	wantToken(t, source, "token-1")
	source.Close()
	if base.closed.Load() != 0 {
		t.Error("the connections of the caller's client were closed")
	}
}

// A source of its own connections shares none with the rest of the program.
func TestOwnConnections(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	var addresses sync.Map
	i.Answer(func(w http.ResponseWriter, r *http.Request) {
		addresses.Store(r.RemoteAddr, true)
		grant("uncached", 0)(w, r)
	})
	cfg := config(t, i)
	cfg.HTTPClient = nil
	for range 2 {
		wantToken(t, newSource(t, cfg), "uncached")
	}
	count := 0
	addresses.Range(func(any, any) bool { count++; return true })
	if count != 2 {
		t.Errorf("%d connections for two sources", count)
	}
}
