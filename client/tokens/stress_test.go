package tokens_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/signet/client/tokens"
)

const (
	stressLife     = 3 * time.Second
	stressCallers  = 1000
	stressTime     = 30 * time.Second
	stressAway     = 5 * time.Second
	stressPatience = 30 * time.Second // for tokens to come again; the longest backoff is 10 s, and one in three fails
	unpunctual     = 2 * time.Second  // of a machine that has other things to do
)

// crowd is callers who want tokens, all the time and with little patience.
type crowd struct {
	issuer *shaky
	source *tokens.Source
	machine
	until  atomic.Int64 // of the last of the tokens that any of them has seen: Unix nanoseconds
	calls  atomic.Int64
	failed atomic.Int64 // calls without a token, because the issuer was away
}

// patience is how long a caller waits; some have no time at all.
func patience() time.Duration {
	return []time.Duration{0, time.Millisecond, 50 * time.Millisecond, 500 * time.Millisecond, 3 * time.Second}[rand.IntN(5)]
}

func (c *crowd) call(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience())
	defer cancel()
	deadline, _ := ctx.Deadline()
	stalled, known, began := c.stalled.Load(), time.Unix(0, c.until.Load()), time.Now()
	token, err := c.source.Token(ctx)
	now := time.Now()
	c.calls.Add(1)
	c.checkLate(t, "its deadline", now.Sub(deadline), stalled)
	if err != nil {
		c.checkFailure(t, ctx, err, known.Sub(now.Round(0)))
		return
	}
	end := c.issuer.endOf(token.AccessToken())
	if !end.After(began) {
		t.Errorf("%q had expired %v before the call", token.AccessToken(), began.Sub(end))
	}
	c.checkLate(t, "the end of the token", now.Sub(end), stalled)
	for seen, ends := c.until.Load(), token.Expires.UnixNano(); ends > seen && !c.until.CompareAndSwap(seen, ends); {
		seen = c.until.Load()
	}
}

// checkFailure: there is a reason to come back without a token only when none was there, however little time there was.
func (c *crowd) checkFailure(t *testing.T, ctx context.Context, err error, left time.Duration) {
	const slew = 10 * time.Millisecond // between the wall clock and the monotonic one
	if left > slew {
		t.Errorf("got %v, though there was a token for another %v", err, left)
	}
	switch {
	case err == ctx.Err():
	case errors.Is(err, tokens.ErrUnreachable) || errors.Is(err, tokens.ErrAnswer):
		c.failed.Add(1)
	default:
		t.Errorf("got %v, want exactly %v or why there is no token", err, ctx.Err())
	}
}

func TestStress(t *testing.T) {
	t.Parallel()
	issuer := newShaky(t)
	pool := &http.Transport{}
	t.Cleanup(pool.CloseIdleConnections)
	watch := &watch{base: pool}
	source := newSource(t, tokens.Config{
		Issuer:     "http://" + issuer.address,
		ClientID:   "billing",
		Credential: tokens.Secret("secret"),
		HTTPClient: &http.Client{Transport: watch},
		OnExchange: watch.exchanged,
	})
	crowd := &crowd{issuer: issuer, source: source}
	stop := make(chan struct{})
	var callers sync.WaitGroup
	callers.Go(func() { crowd.machine.run(stop) })
	for range stressCallers {
		callers.Go(func() { crowd.run(t, stop) })
	}
	began, outages := time.Now(), 0
	haveTokens := func(since time.Time) {
		t.Helper()
		wanted := since.Add(stressLife).UnixNano() // one that was asked for since
		for crowd.until.Load() < wanted && time.Since(since) < stressPatience {
			time.Sleep(10 * time.Millisecond)
		}
		if crowd.until.Load() < wanted {
			t.Errorf("no token within %v of the issuer's coming", stressPatience)
		}
	}
	for time.Since(began) < stressTime && !t.Failed() {
		haveTokens(time.Now())
		issuer.vanish()
		time.Sleep(stressAway)
		issuer.appear(t)
		haveTokens(time.Now())
		outages++
	}
	close(stop)
	callers.Wait()
	source.Close()
	issuer.check(t)
	granted, failed := watch.check(t)
	t.Logf("%v: %d calls, %d of them failed; %d outages; %d tokens, %d failed attempts; %d requests",
		time.Since(began).Round(time.Second), crowd.calls.Load(), crowd.failed.Load(), outages, granted, failed, issuer.asked)
	if crowd.failed.Load() == 0 || granted < 2*outages || failed < outages {
		t.Error("that was no stress")
	}
	if most := int(time.Since(began)/(stressLife*7/10)) + 1; granted > most {
		t.Errorf("%d tokens, at most %d are needed", granted, most)
	}
}
