package tokens_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

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
				time.Sleep(1)
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
		time.Sleep(1)
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

func TestInitial(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		life  time.Duration
		sleep time.Duration
		want  string
		asked []time.Duration
	}{
		{"good", 600 * time.Second, 0, "initial", nil},
		{"good for a moment", 1, 0, "initial", []time.Duration{0}}, // used after its refreshing moment
		{"expired", 0, 0, "token-1", []time.Duration{0}},
		{"expired long ago", -time.Hour, 0, "token-1", []time.Duration{0}},
		{"idle until it is due", 600 * time.Second, 479 * time.Second, "initial", nil},
		{"idle until after it is due", 600 * time.Second, 481 * time.Second, "initial", []time.Duration{481 * time.Second}},
		{"idle until its end", 600 * time.Second, 600 * time.Second, "token-1", []time.Duration{600 * time.Second}},
		{"for ever, as far as a clock goes", 1<<63 - 1, time.Hour, "initial", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i, cfg := newIssuerInMemory()
				began := time.Now()
				cfg.Initial = newToken(t, "initial", began.Add(test.life))
				source := newSource(t, cfg)
				time.Sleep(test.sleep)
				token := wantToken(t, source, test.want)
				if test.want == "initial" && token != cfg.Initial {
					t.Errorf("got %v, want %v", token, cfg.Initial)
				}
				wantAsked(t, i, began, test.asked...)
			})
		})
	}
}

// An initial token of which nobody knows how long it lasts is not kept, like any other such token.
func TestInitialWithoutEnd(t *testing.T) {
	t.Parallel()
	cfg := config(t, newIssuer(t))
	cfg.Initial = newToken(t, "initial", time.Time{})
	wantToken(t, newSource(t, cfg), "token-1")
}

func newToken(t *testing.T, value string, expires time.Time) tokens.Token {
	t.Helper()
	token, err := tokens.NewToken(value, expires, "")
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestNewToken(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", " ", "a b", "a\r\nX: y", "a\x00", "a\x7f", "é", "\xff", "a\tb", "a\n"} {
		token, err := tokens.NewToken(value, time.Now().Add(time.Hour), "")
		if !errors.Is(err, tokens.ErrAnswer) || token != (tokens.Token{}) {
			t.Errorf("%q: got %v and %v, want %v", value, token, err, tokens.ErrAnswer)
		}
	}
	end := keystest.NewClock().Now()
	token, err := tokens.NewToken("~not.a/JWT+=", end, "read write")
	if err != nil || token.AccessToken() != "~not.a/JWT+=" || token.Scope != "read write" || !token.Expires.Equal(end) {
		t.Errorf("got %q, scope %q, until %v and %v", token.AccessToken(), token.Scope, token.Expires, err)
	}
}

// A token has expired when either clock says so. The wall clock may be set back, and the monotonic one stands still
// while the machine sleeps.
func TestEitherClock(t *testing.T) {
	t.Parallel()
	const life = 600 * time.Second
	for _, test := range []struct {
		name      string
		wall      time.Duration
		monotonic time.Duration
		want      string // at once
		later     string // when what that call began has ended
	}{
		{"slept until it is due", life * 4 / 5, 0, "token-1", "token-2"},
		{"slept until it is nearly due", life*4/5 - 1, 0, "token-1", "token-1"},
		{"slept until its end", life, 0, "token-2", "token-2"},
		{"slept for days", 100 * time.Hour, time.Second, "token-2", "token-2"},
		{"set back, due", -time.Hour, life * 4 / 5, "token-1", "token-2"},
		{"set back, nearly due", -time.Hour, life*4/5 - 1, "token-1", "token-1"},
		{"set back, at its end", -time.Hour, life, "token-2", "token-2"},
		{"set back for days", -1000 * time.Hour, life, "token-2", "token-2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			now := time.Now() // outside, because synctest's clock is none of two
			synctest.Test(t, func(t *testing.T) {
				_, cfg := newIssuerInMemory()
				cfg.Now = func() time.Time { return now }
				source := newSource(t, cfg)
				wantToken(t, source, "token-1")
				synctest.Wait()
				now = apart(t, now, test.wall, test.monotonic)
				wantToken(t, source, test.want)
				synctest.Wait()
				wantToken(t, source, test.later)
			})
		})
	}
}

// apart returns now after different times on the two clocks.
func apart(t *testing.T, now time.Time, wall, monotonic time.Duration) time.Time {
	t.Helper()
	then := now.Add(wall)
	reading := (*int64)(unsafe.Add(unsafe.Pointer(&then), unsafe.Sizeof(uint64(0)))) // the second field of a time.Time
	*reading += int64(monotonic - wall)
	if then.Sub(now) != monotonic || then.Round(0).Sub(now.Round(0)) != wall {
		t.Fatalf("%v and %v is not the time it should be", then.Sub(now), then.Round(0).Sub(now.Round(0)))
	}
	return then
}

// Invalidate drops the very token and nothing else.
func TestInvalidate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		token func(t *testing.T, current tokens.Token) tokens.Token
		want  string
	}{
		{"current", func(_ *testing.T, current tokens.Token) tokens.Token { return current }, "token-2"},
		{"the same from elsewhere", func(t *testing.T, _ tokens.Token) tokens.Token {
			return newToken(t, "token-1", time.Time{})
		}, "token-2"},
		{"another", func(t *testing.T, current tokens.Token) tokens.Token {
			return newToken(t, "token-0", current.Expires)
		}, "token-1"},
		{"its beginning", func(t *testing.T, current tokens.Token) tokens.Token {
			return newToken(t, "token", current.Expires)
		}, "token-1"},
		{"zero", func(*testing.T, tokens.Token) tokens.Token { return tokens.Token{} }, "token-1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			source := newSource(t, config(t, newIssuer(t)))
			source.Invalidate(tokens.Token{}) // there is none yet
			current := wantToken(t, source, "token-1")
			source.Invalidate(test.token(t, current))
			wantToken(t, source, test.want)
		})
	}
}

// The timer of a dropped token is that of nothing.
func TestInvalidatedIsNotRefreshed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i, cfg := newIssuerInMemory()
		source, began := newSource(t, cfg), time.Now()
		source.Invalidate(wantToken(t, source, "token-1"))
		time.Sleep(time.Hour)
		wantAsked(t, i, began, 0)
		wantToken(t, source, "token-2")
		if !slices.Equal(i.asked(began), []time.Duration{0, time.Hour}) {
			t.Errorf("asked at %v", i.asked(began))
		}
	})
}
