package tokens_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
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

// shaky is an issuer that fails one request in three, and goes away altogether when a test says so.
type shaky struct {
	address string
	server  *http.Server

	mu     sync.Mutex
	asked  int                  // guarded; requests of both kinds
	ends   map[string]time.Time // guarded; when the tokens expire that it gave
	serves int                  // guarded; token requests under way
	twice  int                  // guarded; how often there were two at once
	failed time.Time            // guarded; when the last request failed, zero after one that did not
	early  []time.Duration      // guarded; how soon after a failure the next request came, where that is too soon
}

func newShaky(t *testing.T) *shaky {
	t.Helper()
	s := &shaky{address: "127.0.0.1:0", ends: make(map[string]time.Time)}
	s.appear(t)
	t.Cleanup(s.vanish)
	return s
}

// appear makes it listen, where it listened before.
func (s *shaky) appear(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	s.address = listener.Addr().String()
	mux, origin := http.NewServeMux(), "http://"+s.address
	mux.HandleFunc("/.well-known/oauth-authorization-server", s.shake(metadata(origin, origin+"/oauth2/token")))
	mux.HandleFunc("/oauth2/token", s.shake(s.give))
	s.server = &http.Server{Handler: mux}
	go func(server *http.Server) { _ = server.Serve(listener) }(s.server)
}

func (s *shaky) vanish() { _ = s.server.Close() }

// shake lets one request in three fail, in one way after the other, and watches how the requests come.
func (s *shaky) shake(then http.HandlerFunc) http.HandlerFunc {
	ways := []http.HandlerFunc{answer(500, "oops"), later(503, "1"), cut, answer(200, "<html>log in")}
	return func(w http.ResponseWriter, r *http.Request) {
		number := s.begin()
		defer s.end()
		if number%3 != 0 {
			then(w, r)
			return
		}
		s.mu.Lock()
		s.failed = time.Now() // before the client can know
		s.mu.Unlock()
		ways[number/3%len(ways)](w, r)
	}
}

func (s *shaky) begin() (number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	s.serves++
	if s.serves > 1 {
		s.twice++
	}
	const shortest = 100 * time.Millisecond
	if gap := time.Since(s.failed); gap < shortest {
		s.early = append(s.early, gap)
	}
	return s.asked
}

func (s *shaky) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serves--
}

func (s *shaky) give(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	token := fmt.Sprint("token-", len(s.ends)+1)
	s.ends[token] = time.Now().Add(stressLife)
	s.failed = time.Time{}
	s.mu.Unlock()
	grant(token, int(stressLife/time.Second))(w, r)
}

// endOf returns when a token that was given expires.
func (s *shaky) endOf(token string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ends[token]
}

// watch sits between the client and the network, and sees when each attempt begins and fails.
type watch struct {
	base     http.RoundTripper
	mu       sync.Mutex
	current  attempt   // guarded
	attempts []attempt // guarded; those that have ended
}

type attempt struct {
	tokens.Exchange
	began time.Time // its first request
	ended time.Time // the answer to its last request, or its failure: before the client counts the pause
}

func (w *watch) RoundTrip(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	if w.current.began.IsZero() {
		w.current.began = time.Now()
	}
	w.mu.Unlock()
	resp, err := w.base.RoundTrip(req)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.current.ended = time.Now()
	return resp, err
}

func (w *watch) exchanged(e tokens.Exchange) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.current.Exchange = e
	w.attempts = append(w.attempts, w.current)
	w.current = attempt{}
}

// check holds each attempt against the one before it: after a token there is one when that has to be refreshed, and
// after a failure when its pause is over.
func (w *watch) check(t *testing.T) (granted, failed int) {
	const shortest, longest = 100 * time.Millisecond, 5 * time.Second
	const refresh = stressLife * 7 / 10
	const slew = 10 * time.Millisecond // between the wall clock and the monotonic one
	for n, a := range w.attempts {
		if a.Err != nil {
			failed++
			if least := min(shortest<<min(a.Attempt-1, 10), longest); a.Retry < least {
				t.Errorf("attempt %d: a pause of %v after %d failures, want at least %v", n, a.Retry, a.Attempt, least)
			}
		} else {
			granted++
		}
		if n == 0 {
			continue
		}
		before := w.attempts[n-1]
		if gap := a.began.Sub(before.ended); before.Err != nil && gap < before.Retry {
			t.Errorf("attempt %d came %v after a failure, before the pause of %v was over", n, gap, before.Retry)
		}
		asked := before.Token.Expires.Add(-stressLife)
		if age := a.began.Round(0).Sub(asked); before.Err == nil && age < refresh-slew {
			t.Errorf("attempt %d came when the token was %v old, it is good for %v", n, age, stressLife)
		}
	}
	return granted, failed
}

// machine measures for how long this process as a whole stood still, which is nobody's fault here.
type machine struct{ stalled atomic.Int64 } // nanoseconds

func (m *machine) run(stop <-chan struct{}) {
	const step, usual = 20 * time.Millisecond, 100 * time.Millisecond
	for last := time.Now(); ; {
		select {
		case <-stop:
			return
		case <-time.After(step):
		}
		if gap := time.Since(last); gap > usual {
			m.stalled.Add(int64(gap))
		}
		last = time.Now()
	}
}

// checkLate reports a call that returned late, and by more than the machine stood still since it began.
func (m *machine) checkLate(t *testing.T, what string, late time.Duration, stalled int64) {
	if late <= unpunctual {
		return
	}
	time.Sleep(time.Second / 2) // so that run has seen it
	if late -= time.Duration(m.stalled.Load() - stalled); late > unpunctual {
		t.Errorf("a call returned %v after %s", late, what)
	}
}

// crowd is callers who want tokens, all the time and with little patience.
type crowd struct {
	issuer *shaky
	source *tokens.Source
	machine
	until  atomic.Int64 // of the last of the tokens that any of them has seen: Unix nanoseconds
	calls  atomic.Int64
	failed atomic.Int64 // calls without a token, because the issuer was away
}

func (c *crowd) run(t *testing.T, stop <-chan struct{}) {
	for {
		c.call(t)
		select {
		case <-stop:
			return
		case <-time.After(20*time.Millisecond + rand.N(40*time.Millisecond)):
		}
	}
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

// check looks at what came to the issuer.
func (s *shaky) check(t *testing.T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.twice > 0 {
		t.Errorf("two requests at once, %d times", s.twice)
	}
	if len(s.early) > 0 {
		t.Errorf("requests came so soon after a failure: %v", s.early)
	}
}
