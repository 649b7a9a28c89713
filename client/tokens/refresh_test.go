package tokens_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/client/tokens"
	"example.com/signet/keys/keystest"
)

// asked returns how long after began each token request came, in the order in which they came.
func (i *issuer) asked(began time.Time) (after []time.Duration) {
	for _, r := range i.Requests() {
		after = append(after, r.at.Sub(began))
	}
	return after
}

func wantAsked(t *testing.T, i *issuer, began time.Time, want ...time.Duration) {
	t.Helper()
	synctest.Wait()
	if diff := cmp.Diff(want, i.asked(began)); diff != "" {
		t.Errorf("the issuer was asked after (-want +got):\n%s", diff)
	}
}

func TestRefreshByTimer(t *testing.T) {
	t.Parallel()
	const second = time.Second
	for _, test := range []struct {
		name   string
		random float64
		life   int
		at     time.Duration
	}{
		{"earliest", 0, 600, 420 * second},
		{"middle", 0.5, 600, 480 * second},
		{"a quarter", 0.25, 600, 450 * second},
		{"nearly the latest", 0.875, 600, 525 * second},
		{"one second", 0.5, 1, 800 * time.Millisecond},
		{"huge life counts as a day", 0.5, 1 << 40, 24 * time.Hour * 4 / 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i, cfg := newIssuerInMemory()
				cfg.Random = func() float64 { return test.random }
				i.Answer(inTurn(grant("token-1", test.life), grant("token-2", test.life)))
				source, began := newSource(t, cfg), time.Now()
				wantToken(t, source, "token-1")
				time.Sleep(test.at - 1)
				wantToken(t, source, "token-1")
				wantAsked(t, i, began, 0)
				time.Sleep(time.Nanosecond)
				wantAsked(t, i, began, 0, test.at)
				wantToken(t, source, "token-2")
			})
		})
	}
}

// Each token that was wanted is refreshed once; then nobody wants one any more.
func TestIdleProgramAsksNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i, cfg := newIssuerInMemory()
		source, began := newSource(t, cfg), time.Now()
		wantToken(t, source, "token-1")
		time.Sleep(500 * time.Second)
		wantToken(t, source, "token-2")
		time.Sleep(24 * time.Hour)
		wantAsked(t, i, began, 0, 480*time.Second, 960*time.Second)
		wantToken(t, source, "token-4") // token-3 has expired without anybody
	})
}

// The first caller after the moment of refreshing has the old token at once, and makes it be refreshed.
func TestRefreshByCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i, cfg := newIssuerInMemory()
		source, began := newSource(t, cfg), time.Now()
		wantToken(t, source, "token-1")
		time.Sleep((480 + 480 + 119) * time.Second) // nobody has wanted token-2
		wantAsked(t, i, began, 0, 480*time.Second)
		for range 100 {
			wantToken(t, source, "token-2")
		}
		wantAsked(t, i, began, 0, 480*time.Second, 1079*time.Second)
		wantToken(t, source, "token-3")
	})
}

// Who saw that a token is due, and was slow to say so, finds that somebody else has refreshed it by then.
func TestRefreshBySlowCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := keystest.NewClock()
		i, cfg := newIssuerInMemory()
		var source *tokens.Source
		var isSlow atomic.Bool
		cfg.Now = func() time.Time {
			now := clock.Now()
			if isSlow.CompareAndSwap(true, false) {
				wantToken(t, source, "token-1")
				synctest.Wait()
				wantToken(t, source, "token-2")
			}
			return now
		}
		source = newSource(t, cfg)
		wantToken(t, source, "token-1")
		clock.Advance(480 * time.Second)
		isSlow.Store(true)
		wantToken(t, source, "token-1")
		synctest.Wait()
		wantToken(t, source, "token-2")
		if asked := len(i.Requests()); asked != 2 {
			t.Errorf("asked %d times, want 2", asked)
		}
	})
}

func TestOldTokenServesMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i, cfg := newIssuerInMemory()
		source, began := newSource(t, cfg), time.Now()
		wantToken(t, source, "token-1")
		held, release := hold(t, grant("token-2", 600))
		i.Answer(held)
		time.Sleep(481 * time.Second)
		gone, leave := context.WithCancel(t.Context())
		leave()
		for range 100 {
			if token, err := source.Token(gone); err != nil || token.AccessToken() != "token-1" { // who cannot wait need not
				t.Fatalf("got %q and %v", token.AccessToken(), err)
			}
		}
		wantAsked(t, i, began, 0, 480*time.Second)
		release()
		synctest.Wait()
		wantToken(t, source, "token-2")
	})
}

// Those who come when the old token has expired wait for the refresh that is under way, and begin no other.
func TestExpiryDuringRefresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i, cfg := newIssuerInMemory()
		i.Answer(inTurn(grant("token-1", 10), func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(4 * time.Second)
			grant("token-2", 10)(w, r)
		}))
		source, began := newSource(t, cfg), time.Now()
		wantToken(t, source, "token-1")
		time.Sleep(10*time.Second - 1)
		wantToken(t, source, "token-1")
		time.Sleep(time.Nanosecond)
		hurried, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := source.Token(hurried); err != context.DeadlineExceeded || time.Since(began) != 11*time.Second {
			t.Errorf("got %v after %v, want exactly %v at its deadline", err, time.Since(began), context.DeadlineExceeded)
		}
		wantToken(t, source, "token-2")
		if now := time.Since(began); now != 12*time.Second {
			t.Errorf("waited until %v, the token came after 12 s", now)
		}
		wantAsked(t, i, began, 0, 8*time.Second)
	})
}

// A refresh that fails is tried again by timer, with longer and longer pauses, until the token expires.
func TestFailedRefresh(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	failing := answer(http.StatusBadGateway, "<html>")
	refusing := answer(http.StatusUnauthorized, `{"error":"invalid_client"}`)
	pauses := []time.Duration{0, 150 * ms, 300 * ms, 600 * ms, 1200 * ms, 2400 * ms, 4800 * ms, 7500 * ms, 7500 * ms}
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		want   error
	}{
		{"connection cut", cut, tokens.ErrUnreachable},
		{"failing", failing, tokens.ErrUnreachable},
		{"nonsense", answer(http.StatusOK, "<html>"), tokens.ErrAnswer},
		{"refusing", refusing, tokens.ErrRefused},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i, cfg := newIssuerInMemory()
				i.Answer(inTurn(grant("token-1", 100), test.answer))
				source, began := newSource(t, cfg), time.Now()
				wantToken(t, source, "token-1")
				want, at := []time.Duration{0}, 80*time.Second
				for _, pause := range pauses {
					at += pause
					if at < 100*time.Second {
						want = append(want, at)
					}
				}
				for time.Since(began) < 99*time.Second {
					time.Sleep(time.Second)
					if time.Since(began) < 100*time.Second {
						wantToken(t, source, "token-1")
					}
				}
				time.Sleep(time.Hour)
				wantAsked(t, i, began, want...) // not after its end: nobody has asked
				if _, err := source.Token(t.Context()); !errors.Is(err, test.want) {
					t.Errorf("got %v, want %v", err, test.want)
				}
			})
		})
	}
}

// The first who wants the token may come when it is due already; that it could not be refreshed then is not the end.
func TestFailedRefreshOfFirstCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i, cfg := newIssuerInMemory()
		i.Answer(inTurn(grant("token-1", 100), grant("token-2", 100), cut, cut, cut, grant("token-3", 100)))
		source, began := newSource(t, cfg), time.Now()
		wantToken(t, source, "token-1")
		time.Sleep(170 * time.Second)
		wantToken(t, source, "token-2") // due since 160 s
		time.Sleep(2 * time.Second)
		const ms = time.Millisecond
		wantAsked(t, i, began, 0, 80_000*ms, 170_000*ms, 170_150*ms, 170_450*ms, 171_050*ms)
		wantToken(t, source, "token-3")
	})
}

// An issuer that no longer says how long its tokens last gives one that is not kept, while the old one still serves.
func TestRefreshWithoutLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i, cfg := newIssuerInMemory()
		i.Answer(inTurn(grant("token-1", 100), grant("uncached", 0)))
		source := newSource(t, cfg)
		wantToken(t, source, "token-1")
		time.Sleep(90 * time.Second)
		wantToken(t, source, "token-1")
		time.Sleep(10 * time.Second)
		wantToken(t, source, "uncached")
	})
}
