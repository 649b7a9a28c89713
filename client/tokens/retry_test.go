package tokens_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/client/tokens"
)

// A moment's trouble is nothing that callers hear of: up to three attempts are one flight to them.
func TestRetryWithinFlight(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		answers []http.HandlerFunc
		want    error // nil: a token
		asked   []time.Duration
	}{
		{"well", nil, nil, []time.Duration{0}},
		{"cut once", []http.HandlerFunc{cut}, nil, []time.Duration{0, 150 * ms}},
		{"cut twice", []http.HandlerFunc{cut, cut}, nil, []time.Duration{0, 150 * ms, 450 * ms}},
		{"cut three times", []http.HandlerFunc{cut, cut, cut}, tokens.ErrUnreachable, []time.Duration{0, 150 * ms, 450 * ms}},
		{"HTML once", []http.HandlerFunc{answer(200, "<html>")}, nil, []time.Duration{0, 150 * ms}},
		{"404 once", []http.HandlerFunc{answer(404, "<html>")}, nil, []time.Duration{0, 150 * ms}},
		{"500, then no JSON", []http.HandlerFunc{answer(500, ""), answer(200, "<html>")}, nil, []time.Duration{0, 150 * ms, 450 * ms}},
		{"refused", []http.HandlerFunc{answer(401, invalidClient)}, tokens.ErrRefused, []time.Duration{0}},
		{"cut, then refused", []http.HandlerFunc{cut, answer(401, invalidClient)}, tokens.ErrRefused, []time.Duration{0, 150 * ms}},
		{"asks for a second", []http.HandlerFunc{later(503, "1")}, nil, []time.Duration{0, 1000 * ms}},
		{"asks for two seconds", []http.HandlerFunc{later(429, "2")}, nil, []time.Duration{0, 2000 * ms}},
		{"asks for two seconds twice", []http.HandlerFunc{later(429, "2"), later(503, "2")}, nil, []time.Duration{0, 2000 * ms, 4000 * ms}},
		{"asks for three seconds", []http.HandlerFunc{later(503, "3")}, tokens.ErrUnreachable, []time.Duration{0}},
		{"cut, then asks for three seconds", []http.HandlerFunc{cut, later(503, "3")}, tokens.ErrUnreachable, []time.Duration{0, 150 * ms}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i, cfg := newIssuerInMemory()
				i.Answer(inTurn(append(test.answers, grant("token", 600))...))
				source, began := newSource(t, cfg), time.Now()
				token, err := source.Token(t.Context())
				if !errors.Is(err, test.want) || (err == nil) != (token.AccessToken() == "token") {
					t.Errorf("got %q and %v, want %v", token.AccessToken(), err, test.want)
				}
				if took := time.Since(began); took != test.asked[len(test.asked)-1] {
					t.Errorf("the caller waited %v", took)
				}
				wantAsked(t, i, began, test.asked...)
			})
		})
	}
}

// While the issuer is known to be away a flight is one attempt, so that nobody waits for what hardly comes.
func TestNoRetryWhileAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i, cfg := newIssuerInMemory()
		i.Answer(cut)
		source := newSource(t, cfg)
		poll(t, source, 5*time.Second)
		time.Sleep(time.Minute)
		asked, began := len(i.Requests()), time.Now()
		_, err := source.Token(t.Context())
		if took := time.Since(began); !errors.Is(err, tokens.ErrUnreachable) || took != 0 || len(i.Requests()) != asked+1 {
			t.Errorf("got %v after %v and %d attempts, want an error at once after one", err, took, len(i.Requests())-asked)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	const own = 600 * ms // after three attempts
	second := time.Second
	dated := func(date, until string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", date)
			later(503, until)(w, r)
		}
	}
	for _, test := range []struct {
		name     string
		answer   http.HandlerFunc
		attempts int
		pause    time.Duration // from the last attempt on
	}{
		{"says nothing", later(503, ""), 3, own},
		{"zero", later(503, "0"), 3, own},
		{"negative", later(503, "-5"), 3, own},
		{"a fraction", later(503, "5.5"), 3, own},
		{"words", later(503, "soon"), 3, own},
		{"control characters", later(503, "\x1b[31m5"), 3, own},
		{"a date long ago", later(503, "Sun, 06 Nov 1994 08:49:37 GMT"), 3, own},
		{"status 503", later(503, "5"), 1, 5 * second},
		{"status 500", later(500, "5"), 1, 5 * second},
		{"status 429", later(429, "5"), 1, 5 * second},
		{"status 408", later(408, "5"), 1, 5 * second},
		{"status 404, where it means nothing", later(404, "5"), 3, own},
		{"an hour", later(503, "3600"), 1, time.Hour},
		{"a year counts as an hour", later(503, "31536000"), 1, time.Hour},
		{"beyond every number", later(503, strings.Repeat("9", 100)), 1, time.Hour},
		{"a date, by the issuer's clock", dated("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:50:07 GMT"), 1, 30 * second},
		{"a date that is far away", dated("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 2094 08:50:07 GMT"), 1, time.Hour},
	} {
		for _, place := range []struct {
			name   string
			answer func(*issuer, http.HandlerFunc)
		}{
			{"token endpoint", (*issuer).Answer},
			{"metadata", (*issuer).AnswerMetadata},
		} {
			isMeant := place.name == "token endpoint" || test.attempts == 1
			if !isMeant || (place.name == "metadata" && test.name == "status 408") { // there it counts as nothing found
				continue
			}
			t.Run(test.name+", "+place.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					i, cfg := newIssuerInMemory()
					var attempts []tokens.Exchange
					cfg.OnExchange = func(e tokens.Exchange) { attempts = append(attempts, e) }
					place.answer(i, test.answer)
					source := newSource(t, cfg)
					if _, err := source.Token(t.Context()); err == nil {
						t.Fatal("no error")
					}
					place.answer(i, nil)
					if last := attempts[len(attempts)-1]; len(attempts) != test.attempts || last.Retry != test.pause {
						t.Fatalf("%d attempts, the next in %v; want %d and %v", len(attempts), last.Retry, test.attempts, test.pause)
					}
					time.Sleep(test.pause - 1)
					if _, err := source.Token(t.Context()); err == nil || len(attempts) != test.attempts {
						t.Error("the issuer was asked too early")
					}
					time.Sleep(time.Nanosecond)
					if _, err := source.Token(t.Context()); err != nil || len(attempts) != test.attempts+1 {
						t.Errorf("got %v after %d attempts", err, len(attempts))
					}
				})
			})
		}
	}
}

// The proof of an attempt is good for that attempt: its assertion may have reached the issuer.
func TestEachAttemptHasItsOwnProof(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.Answer(inTurn(cut, answer(500, ""), grant("token", 600)))
	wantToken(t, newSource(t, config(t, i)), "token")
	seen := make(map[string]bool)
	for _, r := range i.Requests() {
		seen[r.form.Get("client_assertion")] = true
		seen[claimsOf(t, r).ID] = true
	}
	if len(i.Requests()) != 3 || len(seen) != 6 {
		t.Errorf("%d attempts with %d different assertions and jti, want 3 with 6", len(i.Requests()), len(seen))
	}
}

// A pause within the flight is not longer for those who came with less time.
func TestDeadlineWithinPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i, cfg := newIssuerInMemory()
		i.Answer(inTurn(later(503, "2"), grant("token", 600)))
		source, began := newSource(t, cfg), time.Now()
		var callers sync.WaitGroup
		for n := range 20 {
			callers.Go(func() {
				patience := time.Duration(n) * 150 * ms
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				_, err := source.Token(ctx)
				took := time.Since(began)
				if isPatient := patience > 2*time.Second; isPatient && (err != nil || took != 2*time.Second) {
					t.Errorf("patience of %v: got %v after %v", patience, err, took)
				} else if !isPatient && (err != ctx.Err() || err == nil || took != patience) {
					t.Errorf("patience of %v: got %v after %v, want exactly %v", patience, err, took, ctx.Err())
				}
			})
		}
		callers.Wait()
		if diff := cmp.Diff([]time.Duration{0, 2 * time.Second}, i.asked(began)); diff != "" {
			t.Error(diff)
		}
	})
}

// slow answers after a while.
func slow(d time.Duration, then http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(d):
		case <-r.Context().Done():
		}
		then(w, r)
	}
}

// A token whose life has passed on the way is none.
func TestAnswerSlowerThanItsLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i, cfg := newIssuerInMemory()
		i.Answer(slow(3*time.Second, grant("late", 3)))
		token, err := newSource(t, cfg).Token(t.Context())
		if !errors.Is(err, tokens.ErrAnswer) || !strings.Contains(err.Error(), "longer than the token lives") {
			t.Errorf("got %q and %v", token.AccessToken(), err)
		}
		i.Answer(slow(3*time.Second-1, grant("in-time", 3)))
		time.Sleep(time.Minute)
		wantToken(t, newSource(t, cfg), "in-time")
	})
}

// Our own patience with an issuer is not the caller's deadline.
func TestOwnDeadlineIsNotTheCallers(t *testing.T) {
	t.Parallel()
	for name, hangs := range map[string]func(*issuer, http.HandlerFunc){
		"token endpoint": (*issuer).Answer, "metadata": (*issuer).AnswerMetadata,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i, cfg := newIssuerInMemory()
				hangs(i, hang)
				_, err := newSource(t, cfg).Token(t.Context())
				if !errors.Is(err, tokens.ErrUnreachable) || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}
