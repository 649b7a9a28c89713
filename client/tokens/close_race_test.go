package tokens_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"example.com/signet/client/tokens"
)

// No timer of a closed source does anything.
func TestNoTimerAfterClose(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc // to the refresh
		sleep  time.Duration
		asked  int
	}{
		{"before the refresh", nil, time.Second, 1},
		{"between failed refreshes", cut, 485 * time.Second, 7},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i, cfg := newIssuerInMemory()
				i.Answer(inTurn(grant("token-1", 600), test.answer))
				source := newSource(t, cfg)
				wantToken(t, source, "token-1")
				time.Sleep(test.sleep)
				source.Close()
				time.Sleep(time.Hour)
				if asked := len(i.Requests()); asked != test.asked {
					t.Errorf("asked %d times, want %d", asked, test.asked)
				}
			})
		})
	}
}

// Close at any moment, whatever else goes on: nothing hangs, nothing panics, and afterwards all is closed.
func TestCloseDuringEverything(t *testing.T) {
	i := newIssuer(t)
	i.Answer(inTurnForEver(grant("a", 1), cut, grant("b", 0), later(503, "1"), answer(200, "<html>"), grant("c", 600)))
	before := goleak.IgnoreCurrent()
	for range 30 {
		cfg := config(t, i)
		cfg.HTTPClient, cfg.Origin = nil, "http://127.0.0.1:1"
		source, err := tokens.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		isClosed := make(chan struct{})
		var users sync.WaitGroup
		for n := range 20 {
			users.Go(func() {
				for used := 0; ; used++ {
					select {
					case <-isClosed:
						return
					default:
						useSomehow(t, source, n+used)
					}
				}
			})
		}
		time.Sleep(rand.N(10 * ms))
		var closers sync.WaitGroup
		for range 3 {
			closers.Go(source.Close)
		}
		closers.Wait()
		close(isClosed)
		users.Wait()
		wantClosed(t, source)
	}
	goleak.VerifyNone(t, before)
}

// inTurnForEver lets handlers answer one after the other, and again.
func inTurnForEver(handlers ...http.HandlerFunc) http.HandlerFunc {
	var asked atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		handlers[int(asked.Add(1)-1)%len(handlers)](w, r)
	}
}

func useSomehow(t *testing.T, source *tokens.Source, way int) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(way%7)*ms)
	defer cancel()
	switch way % 5 {
	case 0, 1:
		token, err := source.Token(ctx)
		checkUse(t, ctx, err)
		source.Invalidate(token)
	case 2:
		_, err := source.TokenSource(ctx).Token()
		checkUse(t, ctx, err)
	case 3:
		other, err := source.For(tokens.Target{Scope: []string{"other"}})
		if err != nil {
			t.Error(err)
			return
		}
		_, err = other.Token(ctx)
		checkUse(t, ctx, err)
	case 4:
		source.Invalidate(tokens.Token{})
		_ = source.Transport(nil)
	}
}

func checkUse(t *testing.T, ctx context.Context, err error) {
	isExpected := err == nil || err == ctx.Err() || err == tokens.ErrClosed ||
		errors.Is(err, tokens.ErrUnreachable) || errors.Is(err, tokens.ErrAnswer)
	if !isExpected {
		t.Errorf("got %v", err)
	}
}

// Wherever a flight is when its source is closed, those who wait for it hear that, and at once.
func TestCloseDuringFlight(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		hook   time.Duration // how long the hook takes
		closed time.Duration // when it is
		ends   time.Duration // when Close returns
	}{
		{"issuer hangs", hang, 0, time.Second, time.Second},
		{"pause before another attempt", later(503, "2"), 0, time.Second, time.Second},
		{"token on its way, hook is slow", grant("token", 600), 2 * time.Second, time.Second, 2 * time.Second},
		{"failure on its way, hook is slow", answer(401, invalidClient), 2 * time.Second, time.Second, 2 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i, cfg := newIssuerInMemory()
				i.Answer(test.answer)
				cfg.OnExchange = func(tokens.Exchange) { time.Sleep(test.hook) }
				source, began := newSource(t, cfg), time.Now()
				var callers sync.WaitGroup
				for range 10 {
					callers.Go(func() {
						token, err := source.Token(t.Context())
						if err != tokens.ErrClosed || token != (tokens.Token{}) || time.Since(began) != test.closed {
							t.Errorf("got %v and %v after %v, want exactly %v", token, err, time.Since(began), tokens.ErrClosed)
						}
					})
				}
				time.Sleep(test.closed)
				source.Close()
				if took := time.Since(began); took != test.ends {
					t.Errorf("Close returned after %v", took)
				}
				callers.Wait()
				wantClosed(t, source)
				if asked := len(i.Requests()); asked != 1 {
					t.Errorf("asked %d times", asked)
				}
			})
		})
	}
}
