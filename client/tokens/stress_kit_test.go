package tokens_test

import (
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
