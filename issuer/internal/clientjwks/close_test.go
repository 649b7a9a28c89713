package clientjwks_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"example.com/signet/issuer/internal/clientjwks"
	"example.com/signet/keys/keystest"
)

// Not parallel: it looks at all goroutines.
func TestCloseLeavesNothing(t *testing.T) {
	for name, fail := range map[string]http.HandlerFunc{
		"well": nil, "failing": status(500), "hanging": hang, "trickling": trickle,
	} {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			s := &site{names: []string{keystest.ES256}, fail: fail}
			server := httptest.NewServer(s)
			k := clientjwks.New(clientjwks.Config{Networks: loopback, Log: slog.New(slog.DiscardHandler)})
			var wg sync.WaitGroup
			for i := range 10 {
				wg.Go(func() { _, _ = k.Keys(t.Context(), fmt.Sprint(server.URL, "/", i%3), "") })
			}
			eventually(t, "three fetches", func() bool { return s.fetches() == 3 })
			start := time.Now()
			k.Close()
			k.Close()
			wg.Wait()
			if d := time.Since(start); d > time.Second {
				t.Errorf("closing took %v", d)
			}
			server.Close()
			goleak.VerifyNone(t, before)
		})
	}
}

// Without Close too: when a fetch is over nothing is left of it, no connection and no goroutine.
func TestFetchLeavesNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	s := &site{names: []string{keystest.ES256}}
	server := httptest.NewServer(s)
	k := clientjwks.New(clientjwks.Config{Networks: loopback, Log: slog.New(slog.DiscardHandler)})
	get(t, k, server.URL, "", keystest.ES256)
	server.Close()
	goleak.VerifyNone(t, before)
	k.Close()
}

// A peer that accepts and never says hello is left when the fetch ends: the transport would dial on.
func TestHandshakeEndsWithTheFetch(t *testing.T) {
	before := goleak.IgnoreCurrent()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 1)
	go func() {
		if conn, err := listener.Accept(); err == nil {
			accepted <- conn
		}
	}()
	k := clientjwks.New(clientjwks.Config{Networks: loopback, Log: slog.New(slog.DiscardHandler)})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := k.Keys(t.Context(), "https://"+listener.Addr().String(), "")
		wantUnavailable(t, err)
	})
	conn := <-accepted
	if _, err := conn.Read(make([]byte, 1)); err != nil { // its hello: it is in the handshake now
		t.Fatal(err)
	}
	k.Close()
	wg.Wait()
	goleak.VerifyNone(t, before) // with the peer's end still open
	_ = conn.Close()
	_ = listener.Close()
}

// Who waits when Close is called is let go with an error, old keys or none. Close returns when the fetches have ended.
func TestCloseWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, j := &site{names: []string{keystest.ES256}}, &journal{}
		k := inBubble(t, clientjwks.Config{Log: j.log()}, s)
		get(t, k, bubbleURI+"old", "", keystest.ES256)
		time.Sleep(time.Hour)
		s.change(func(s *site) { s.fail = hang })
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				_, err := k.Keys(t.Context(), bubbleURI+[]string{"old", "cold"}[i%2], "")
				wantUnavailable(t, err)
				took(t, start, time.Second)
			})
		}
		time.Sleep(time.Second)
		for range 3 {
			wg.Go(k.Close)
		}
		wg.Wait()
		if j.count("level=WARN") != 0 {
			t.Errorf("Close is no failure of the client's: %s", j.text.String())
		}
	})
}

// After Close, what is there is given as long as it is young; nothing is fetched, and nobody waits.
func TestKeysAfterClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &site{names: []string{keystest.ES256}}
		k := inBubble(t, clientjwks.Config{}, s)
		start := time.Now()
		get(t, k, bubbleURI, "", keystest.ES256)
		k.Close()
		get(t, k, bubbleURI, kid(keystest.ES256), keystest.ES256)
		_, err := k.Keys(t.Context(), bubbleURI+"cold", "")
		wantUnavailable(t, err)
		sinceFetch(start, 5*time.Minute)
		get(t, k, bubbleURI, kid(keystest.ES256), keystest.ES256)
		_, err = k.Keys(t.Context(), bubbleURI, "unknown")
		wantUnavailable(t, err)
		sinceFetch(start, 5*time.Minute+1)
		_, err = k.Keys(t.Context(), bubbleURI, kid(keystest.ES256))
		wantUnavailable(t, err)
		took(t, start, 5*time.Minute+1)
		wantFetches(t, s, 1)
	})
}

// slowLog takes a second for a line.
type slowLog struct{ slog.Handler }

func (slowLog) Enabled(context.Context, slog.Level) bool { return true }

func (slowLog) Handle(context.Context, slog.Record) error {
	time.Sleep(time.Second) // of the bubble's time
	return nil
}

// Close returns when the last fetch has ended and not before, so that who closes the log next pulls it from nobody.
func TestCloseWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := inBubble(t, clientjwks.Config{Log: slog.New(slowLog{})}, &site{names: []string{keystest.ES256}})
		start := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := k.Keys(ctx, bubbleURI, "")
		wantUnavailable(t, err, context.Canceled)
		synctest.Wait() // it is logging
		k.Close()
		took(t, start, time.Second)
	})
}

func TestNewWithoutLog(t *testing.T) {
	t.Parallel()
	defer func() {
		if r := recover(); r != "clientjwks: Config without Log" {
			t.Errorf("recovered %v", r)
		}
	}()
	clientjwks.New(clientjwks.Config{})
}
