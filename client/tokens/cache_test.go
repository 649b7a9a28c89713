package tokens_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/signet/client/tokens"
	"example.com/signet/keys/keystest"
)

func TestCache(t *testing.T) {
	t.Parallel()
	const second = time.Second
	for _, test := range []struct {
		name   string
		life   int // seconds that the issuer says
		passes time.Duration
		want   string
	}{
		{"at once", 600, 0, "token-1"},
		{"just before four fifths", 600, 480*second - 1, "token-1"},
		{"at four fifths", 600, 480 * second, "token-2"},
		{"after its end", 600, 601 * second, "token-2"},
		{"a second, before", 1, 800*time.Millisecond - 1, "token-1"},
		{"a second, at four fifths", 1, 800 * time.Millisecond, "token-2"},
		{"no expires_in", 0, 0, "token-2"},
		{"clock moved back", 600, -time.Hour, "token-1"},
		{"huge life counts as a day", 1 << 40, 24*time.Hour*4/5 - 1, "token-1"},
		{"huge life does not last", 1 << 40, 24 * time.Hour * 4 / 5, "token-2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			clock, i := keystest.NewClock(), newIssuer(t)
			cfg := config(t, i)
			cfg.Now = clock.Now
			source := newSource(t, cfg)
			i.Answer(grant("token-1", test.life))
			first := wantToken(t, source, "token-1")
			if test.life == 0 && !first.Expires.IsZero() {
				t.Errorf("ends %v, though the issuer did not say", first.Expires)
			}
			i.Answer(nil)
			clock.Advance(test.passes)
			wantToken(t, source, test.want)
		})
	}
}

// A process that slept with its machine must not take its monotonic clock, which slept too, for the time.
func TestExpiryIsWallClock(t *testing.T) {
	t.Parallel()
	token := wantToken(t, newSource(t, config(t, newIssuer(t))), "token-1")
	if token.Expires != token.Expires.Round(0) {
		t.Errorf("Expires has a monotonic reading: %v", token.Expires)
	}
}

// waitingContext tells when somebody waits for it.
type waitingContext struct {
	context.Context
	waits *atomic.Int64
}

func (c waitingContext) Done() <-chan struct{} {
	c.waits.Add(1)
	return c.Context.Done()
}

func TestOneExchangeForAll(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		life int
	}{
		{"cached afterwards", 600},
		{"not cached afterwards", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			held, release := hold(t, grant("shared", test.life))
			i.Answer(held)
			source := newSource(t, config(t, i))
			const callers = 100
			var waits atomic.Int64
			ctx := waitingContext{t.Context(), &waits}
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					token, err := source.Token(ctx)
					if err != nil || token.AccessToken() != "shared" {
						t.Errorf("got %q and error %v", token.AccessToken(), err)
					}
				})
			}
			eventually(t, "all callers wait", func() bool { return waits.Load() == callers && len(i.Requests()) > 0 })
			release()
			wg.Wait()
			if asked := len(i.Requests()); asked != 1 || i.MetadataAsked() != 1 {
				t.Errorf("%d token requests and %d for the metadata, want one each", asked, i.MetadataAsked())
			}
		})
	}
}

// An error is shared with those who waited, and with nobody who comes later.
func TestErrorIsNotKept(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.Answer(answer(http.StatusServiceUnavailable, ""))
	source := newSource(t, config(t, i))
	if _, err := source.Token(t.Context()); !errors.Is(err, tokens.ErrUnreachable) {
		t.Fatal(err)
	}
	i.Answer(nil)
	wantToken(t, source, "token-2")
}

func TestCancelledCaller(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		leader bool // whether it is the caller that began the exchange who leaves
	}{
		{"who began the exchange", true},
		{"who joined it", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			held, release := hold(t, grant("shared", 600))
			i.Answer(held)
			source := newSource(t, config(t, i))
			leaving, leave := context.WithCancel(t.Context())
			defer leave()
			contexts := []context.Context{leaving, t.Context()}
			if !test.leader {
				contexts = []context.Context{t.Context(), leaving}
			}
			var waits atomic.Int64
			type result struct {
				token tokens.Token
				err   error
			}
			results := map[context.Context]chan result{leaving: make(chan result, 1), t.Context(): make(chan result, 1)}
			for n, ctx := range contexts {
				go func() {
					token, err := source.Token(waitingContext{ctx, &waits})
					results[ctx] <- result{token, err}
				}()
				eventually(t, "caller waits", func() bool { return waits.Load() == int64(n)+1 })
			}
			eventually(t, "the exchange has begun", func() bool { return len(i.Requests()) == 1 })

			leave()
			if got := <-results[leaving]; got.err != context.Canceled { // at once: the issuer still has not answered
				t.Errorf("who left got %v, want exactly %v", got.err, context.Canceled)
			}
			release()
			if got := <-results[t.Context()]; got.err != nil || got.token.AccessToken() != "shared" {
				t.Errorf("who stayed got %q and %v", got.token.AccessToken(), got.err)
			}
			if asked := len(i.Requests()); asked != 1 {
				t.Errorf("%d exchanges, want one", asked)
			}
		})
	}
}

func TestIssuerHangs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		hang func(*issuer, http.HandlerFunc)
	}{
		{"token endpoint", (*issuer).Answer},
		{"metadata", (*issuer).AnswerMetadata},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			held, _ := hold(t, answer(http.StatusOK, ""))
			test.hang(i, held)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			start := time.Now()
			_, err := newSource(t, config(t, i)).Token(ctx)
			if err != context.DeadlineExceeded {
				t.Errorf("got %v, want exactly %v", err, context.DeadlineExceeded)
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("the caller waited %v past its deadline", took)
			}
		})
	}
}

func TestIssuerAway(t *testing.T) {
	t.Parallel()
	const life = 600
	down := func(i *issuer) { i.Close() }
	failing := func(i *issuer) { i.Answer(answer(http.StatusBadGateway, "<html>bad gateway")) }
	nonsense := func(i *issuer) { i.Answer(answer(http.StatusNotFound, "<html>no such page")) }
	refusing := func(i *issuer) { i.Answer(answer(http.StatusBadRequest, `{"error":"invalid_client"}`)) }
	for _, test := range []struct {
		name   string
		away   func(*issuer)
		passes time.Duration
		want   error // nil: the old token
	}{
		{"down, token fresh", down, 479 * time.Second, nil},
		{"down, token valid", down, 480 * time.Second, nil},
		{"down, token valid for a moment", down, life*time.Second - 1, nil},
		{"down, token at its end", down, life * time.Second, tokens.ErrUnreachable},
		{"down, token long expired", down, time.Hour, tokens.ErrUnreachable},
		{"failing, token valid", failing, 480 * time.Second, nil},
		{"failing, token expired", failing, life * time.Second, tokens.ErrUnreachable},
		{"nonsense, token valid", nonsense, 480 * time.Second, nil},
		{"nonsense, token expired", nonsense, life * time.Second, tokens.ErrAnswer},
		{"refusing, token valid", refusing, 480 * time.Second, tokens.ErrRefused}, // it answered: we are not welcome any more
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			clock, i := keystest.NewClock(), newIssuer(t)
			cfg := config(t, i)
			cfg.Now = clock.Now
			source := newSource(t, cfg)
			wantToken(t, source, "token-1")
			test.away(i)
			clock.Advance(test.passes)
			if test.want == nil {
				wantToken(t, source, "token-1")
				return
			}
			token, err := source.Token(t.Context())
			if !errors.Is(err, test.want) || token.AccessToken() != "" {
				t.Errorf("got %q and error %v, want %v", token.AccessToken(), err, test.want)
			}
		})
	}
}
