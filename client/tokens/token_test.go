package tokens_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"example.com/signet/client/tokens"
	"example.com/signet/keys/keystest"
)

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
