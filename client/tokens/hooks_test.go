package tokens_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/signet/client/tokens"
)

// sameToken compares what can be seen of a token.
var sameToken = cmp.Comparer(func(a, b tokens.Token) bool {
	return a.AccessToken() == b.AccessToken() && a.Expires.Equal(b.Expires) && a.Scope == b.Scope
})

func slowly(d time.Duration, then http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(d)
		then(w, r)
	}
}

func TestOnExchange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i, cfg := newIssuerInMemory()
		refused := answer(http.StatusUnauthorized, invalidClient)
		i.Answer(inTurn(slowly(3*time.Second, cut), later(503, "2"), slowly(time.Second, grant("a", 100)), refused, grant("b", 0), refused))
		var got []tokens.Exchange
		cfg.OnExchange = func(e tokens.Exchange) { got = append(got, e) }
		cfg.Resource, cfg.Scope = "urn:example:orders", []string{"write", "read"}
		source, began := newSource(t, cfg), time.Now()
		wantToken(t, source, "a")
		const asked = 5150 * ms // after the first attempt's 3 s, a pause of 150 ms, and one of 2 s
		end := began.Add(asked + 100*time.Second)
		time.Sleep(79 * time.Second) // refreshed at four fifths, refused, then granted one that is not kept
		synctest.Wait()
		wantToken(t, source, "a")
		time.Sleep(25 * time.Second)
		if _, err := source.Token(t.Context()); !errors.Is(err, tokens.ErrRefused) {
			t.Errorf("got %v", err)
		}
		for n := range got {
			got[n].Resource, got[n].Scope = checkTarget(t, got[n])
		}
		want := []tokens.Exchange{
			{Err: tokens.ErrUnreachable, Attempt: 1, Took: 3 * time.Second, Retry: 150 * ms},
			{Err: tokens.ErrUnreachable, Attempt: 2, Retry: 2 * time.Second},
			{Token: newToken(t, "a", end), Attempt: 3, Took: time.Second},
			{Err: tokens.ErrRefused, Attempt: 1, Retry: 150 * ms},
			{Token: newToken(t, "b", time.Time{}), Attempt: 2},
			{Err: tokens.ErrRefused, Attempt: 1, Retry: 150 * ms},
		}
		if diff := cmp.Diff(want, got, sameToken, cmpopts.EquateErrors()); diff != "" {
			t.Errorf("exchanges (-want +got):\n%s", diff)
		}
	})
}

func checkTarget(t *testing.T, e tokens.Exchange) (resource, scope string) {
	t.Helper()
	if e.Resource != "urn:example:orders" || e.Scope != "write read" {
		t.Errorf("for %q and %q", e.Resource, e.Scope)
	}
	return "", ""
}

// Whoever counts exchanges has counted one before its token is used.
func TestOnExchangeComesFirst(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
	}{
		{"granted", grant("token", 600)},
		{"refused", answer(http.StatusUnauthorized, invalidClient)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			i.Answer(test.answer)
			cfg := config(t, i)
			var told atomic.Bool
			cfg.OnExchange = func(tokens.Exchange) {
				time.Sleep(20 * ms) // a slow one, so that those who wait could be first
				told.Store(true)
			}
			source := newSource(t, cfg)
			var callers sync.WaitGroup
			for range 20 {
				callers.Go(func() {
					_, _ = source.Token(t.Context())
					if !told.Load() {
						t.Error("a caller knew before the hook")
					}
				})
			}
			callers.Wait()
		})
	}
}

// For one target the hook is never called twice at once, whatever callers do.
func TestOnExchangeIsNotConcurrent(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.Answer(inTurnForEver(grant("a", 600), grant("b", 0), grant("c", 600)))
	cfg := config(t, i)
	var running, calls atomic.Int64
	cfg.OnExchange = func(tokens.Exchange) {
		if running.Add(1) != 1 {
			t.Error("called twice at once")
		}
		time.Sleep(ms)
		calls.Add(1)
		running.Add(-1)
	}
	source := newSource(t, cfg)
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() {
			for range 20 {
				token, err := source.Token(t.Context())
				if err != nil {
					t.Error(err)
				}
				source.Invalidate(token)
			}
		})
	}
	callers.Wait()
	if calls.Load() < 3 {
		t.Errorf("called %d times only", calls.Load())
	}
}

// What Close has put an end to is no exchange: nobody is told of it.
func TestOnExchangeAfterClose(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.Answer(hang)
	cfg := config(t, i)
	var log bytes.Buffer
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	cfg.OnExchange = func(e tokens.Exchange) { t.Errorf("told of %v", e) }
	source := newSource(t, cfg)
	waitForIt(t, i, source)
	source.Close()
	if log.Len() != 0 {
		t.Errorf("logged: %s", log.String())
	}
}

// withoutTime leaves the moment of a log line out.
func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

func TestLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i, cfg := newIssuerInMemory()
		i.Answer(inTurn(cut, later(503, "90"), answer(401, `{"error":"invalid_client","error_description":"who?\n"}`),
			grant("SECRET", 100), grant("SECRET", 100), later(429, ""), grant("SECRET", 100)))
		var log bytes.Buffer
		cfg.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
		source := newSource(t, cfg)
		poll(t, source, 100*time.Second)
		wantToken(t, source, "SECRET")
		time.Sleep(90 * time.Second)
		wantToken(t, source, "SECRET")
		time.Sleep(90 * time.Second)
		wantToken(t, source, "SECRET")
		const who = "issuer=https://issuer.example.com client_id=billing"
		const cause = `cause="obtaining a token from https://issuer.example.com: issuer `
		want := []string{
			`level=WARN msg="no token" ` + who + ` ` + cause +
				`unreachable: Post \"https://issuer.example.com/oauth2/token\": unexpected EOF" attempt=1 retry_in=150ms`,
			`level=WARN msg="no token" ` + who + ` ` + cause + `unreachable: status 503" attempt=2 retry_in=1m30s`,
			`level=WARN msg="no token" ` + who + ` ` + cause + `refused: \"invalid_client\": \"who?\\n\"" attempt=3 retry_in=600ms`,
			`level=INFO msg="tokens again" ` + who + ` attempt=4`,
			`level=WARN msg="no token" ` + who + ` ` + cause + `unreachable: status 429" attempt=1 retry_in=150ms`,
			`level=INFO msg="tokens again" ` + who + ` attempt=2`,
		}
		if diff := cmp.Diff(want, strings.Split(strings.TrimSpace(log.String()), "\n")); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}
