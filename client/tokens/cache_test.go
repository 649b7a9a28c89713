package tokens_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/signet/client/tokens"
	"example.com/signet/keys/keystest"
)

// The timers stand still in these tests: it is the callers' clock that says how old a token is.
func TestCache(t *testing.T) {
	t.Parallel()
	const second, day = time.Second, 24 * time.Hour
	for _, test := range []struct {
		name   string
		life   int // seconds that the issuer says
		passes time.Duration
		want   string // at once
		later  string // when what that call began has ended
	}{
		{"at once", 600, 0, "token-1", "token-1"},
		{"just before four fifths", 600, 480*second - 1, "token-1", "token-1"},
		{"at four fifths", 600, 480 * second, "token-1", "token-2"},
		{"just before its end", 600, 600*second - 1, "token-1", "token-2"},
		{"at its end", 600, 600 * second, "token-2", "token-2"},
		{"long after its end", 600, 1000 * day, "token-2", "token-2"},
		{"a second, just before four fifths", 1, 800*time.Millisecond - 1, "token-1", "token-1"},
		{"a second, at four fifths", 1, 800 * time.Millisecond, "token-1", "token-2"},
		{"a second, at its end", 1, second, "token-2", "token-2"},
		{"no expires_in", 0, 0, "token-2", "token-3"},
		{"clock moved back", 600, -time.Hour, "token-1", "token-1"},
		{"huge life counts as a day", 1 << 40, day*4/5 - 1, "token-1", "token-1"},
		{"huge life, at four fifths of a day", 1 << 40, day * 4 / 5, "token-1", "token-2"},
		{"huge life, after a day", 1 << 40, day, "token-2", "token-2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				clock := keystest.NewClock()
				i, cfg := newIssuerInMemory()
				cfg.Now = clock.Now
				source := newSource(t, cfg)
				i.Answer(grant("token-1", test.life))
				first := wantToken(t, source, "token-1")
				if test.life == 0 && !first.Expires.IsZero() {
					t.Errorf("ends %v, though the issuer did not say", first.Expires)
				}
				i.Answer(nil)
				if test.life == 0 {
					i.Answer(inTurn(grant("token-2", 0), grant("token-3", 0)))
				}
				clock.Advance(test.passes)
				wantToken(t, source, test.want)
				synctest.Wait()
				wantToken(t, source, test.later)
			})
		})
	}
}

// inTurn lets each of handlers answer once, and the last one from then on.
func inTurn(handlers ...http.HandlerFunc) http.HandlerFunc {
	var asked atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		handlers[min(int(asked.Add(1)), len(handlers))-1](w, r)
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

// What was asked for is not lost with those who asked: the next caller has it.
func TestFlightOutlivesItsCallers(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	held, release := hold(t, grant("shared", 600))
	i.Answer(held)
	source := newSource(t, config(t, i))
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := source.Token(gone); err != context.Canceled {
		t.Errorf("got %v, want exactly %v", err, context.Canceled)
	}
	eventually(t, "the exchange has begun", func() bool { return len(i.Requests()) == 1 })
	release()
	wantToken(t, source, "shared")
	if asked := len(i.Requests()); asked != 1 {
		t.Errorf("%d exchanges, want one", asked)
	}
}

// A token that is at hand is given to callers who have no time left.
func TestTokenAtHandNeedsNoTime(t *testing.T) {
	t.Parallel()
	source := newSource(t, config(t, newIssuer(t)))
	wantToken(t, source, "token-1")
	gone, leave := context.WithCancel(t.Context())
	leave()
	if token, err := source.Token(gone); err != nil || token.AccessToken() != "token-1" {
		t.Errorf("got %q and %v", token.AccessToken(), err)
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
			test.hang(i, hang)
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

// Who sets no deadline does not wait for ever either.
func TestIssuerHangsAndCallerWaits(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		hang func(*issuer, http.HandlerFunc)
		at   []time.Duration // attempts until the flight has to end
	}{
		{"token endpoint", (*issuer).Answer, []time.Duration{0, 10_150 * ms}},               // 10 s each
		{"metadata", (*issuer).AnswerMetadata, []time.Duration{0, 5_150 * ms, 10_450 * ms}}, // 5 s each
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i, cfg := newIssuerInMemory()
				began := time.Now()
				var at []time.Duration
				test.hang(i, func(w http.ResponseWriter, r *http.Request) {
					at = append(at, time.Since(began))
					hang(w, r)
				})
				_, err := newSource(t, cfg).Token(t.Context())
				if !errors.Is(err, tokens.ErrUnreachable) {
					t.Errorf("got %v, want %v", err, tokens.ErrUnreachable)
				}
				if took := time.Since(began); took < 5*time.Second || took > 20*time.Second {
					t.Errorf("took %v, a flight takes at most 20 s", took)
				}
				if !slices.Equal(at, test.at) {
					t.Errorf("attempts after %v, want %v", at, test.at)
				}
			})
		})
	}
}

func TestIssuerAway(t *testing.T) {
	t.Parallel()
	const life = 600 * time.Second
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
		{"down, token fresh", down, life*4/5 - 1, nil},
		{"down, token valid", down, life * 4 / 5, nil},
		{"down, token valid for a moment", down, life - 1, nil},
		{"down, token at its end", down, life, tokens.ErrUnreachable},
		{"down, token long expired", down, time.Hour, tokens.ErrUnreachable},
		{"failing, token valid", failing, life * 4 / 5, nil},
		{"failing, token valid for a moment", failing, life - 1, nil},
		{"failing, token expired", failing, life, tokens.ErrUnreachable},
		{"nonsense, token valid", nonsense, life * 4 / 5, nil},
		{"nonsense, token expired", nonsense, life, tokens.ErrAnswer},
		{"refusing, token valid", refusing, life * 4 / 5, nil}, // the resource servers accept it as before
		{"refusing, token valid for a moment", refusing, life - 1, nil},
		{"refusing, token expired", refusing, life, tokens.ErrRefused},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			clock, i := keystest.NewClock(), newIssuer(t)
			cfg := config(t, i)
			cfg.Now, cfg.Random = clock.Now, func() float64 { return 0.5 }
			var failed atomic.Int64
			cfg.OnExchange = func(e tokens.Exchange) {
				if e.Err != nil {
					failed.Add(1)
				}
			}
			source := newSource(t, cfg)
			wantToken(t, source, "token-1")
			test.away(i)
			clock.Advance(test.passes)
			if test.want == nil {
				wantToken(t, source, "token-1")
				if test.passes >= life*4/5 {
					eventually(t, "the refresh has failed", func() bool { return failed.Load() > 0 })
				}
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
