package tokens

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// slot is the token of one target, and how it is obtained. What is guarded is so by client.mu.
type slot struct {
	client   *client
	resource string
	scope    string
	current  atomic.Pointer[held] // nil: none, or the client is closed; written under client.mu

	flight   *flight     // guarded; nil: none is under way
	failures int         // guarded; attempts that failed since the last success
	failed   error       // guarded; why the last one did
	retryAt  time.Time   // guarded; not asked again before, when failures > 0
	timer    *time.Timer // guarded; nil: not set

	renewals *rate.Limiter // how often a refused token is replaced
}

// A token that is refused is replaced five times, and from then on once in ten seconds.
const (
	renewalBurst = 5
	renewalEvery = 10 * time.Second
)

func newSlot(c *client, resource, scope string) *slot {
	return &slot{client: c, resource: resource, scope: scope, renewals: rate.NewLimiter(rate.Every(renewalEvery), renewalBurst)}
}

// flight is one exchange, with its retries, for all who wait for it.
type flight struct {
	done  chan struct{}
	token *held // written before done is closed
	err   error // likewise
}

// wait returns the outcome of the flight that is under way, or of a new one.
func (s *slot) wait(ctx context.Context) (*held, error) {
	kept, f, err := s.board()
	if f == nil {
		return kept, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-f.done:
		if f.err == nil {
			f.token.use()
		}
		return f.token, f.err
	}
}

// board finds a flight for somebody without a token, unless there is a token by now or the issuer is left alone.
func (s *slot) board() (*held, *flight, error) {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	now := s.client.cfg.Now()
	kept := s.current.Load()
	switch {
	case s.client.closed:
		return nil, nil, ErrClosed
	case kept != nil && !passed(now, kept.expires):
		kept.use()
		return kept, nil, nil
	case s.flight != nil:
		return nil, s.flight, nil
	case s.failures > 0 && now.Before(s.retryAt):
		return nil, nil, fmt.Errorf("%w (the issuer is asked again in %v)", s.failed, rounded(s.retryAt.Sub(now)))
	}
	return nil, s.takeOff(), nil
}

// rounded is a duration for people.
func rounded(d time.Duration) time.Duration {
	if d > time.Second {
		return d.Round(time.Second)
	}
	return d.Round(time.Millisecond)
}

// refresh begins a flight that nobody waits for, unless one is under way or the issuer is left alone. Who cannot have
// the lock at once leaves it to the others, and who was slow may find that they have done it.
func (s *slot) refresh() {
	if !s.client.mu.TryLock() {
		return
	}
	defer s.client.mu.Unlock()
	kept := s.current.Load()
	if kept == nil || !passed(s.client.cfg.Now(), kept.refreshAt) {
		return
	}
	kept.use() // so that it is tried again when this fails
	s.refreshLocked()
}

func (s *slot) refreshLocked() {
	resting := s.failures > 0 && s.client.cfg.Now().Before(s.retryAt)
	if !s.client.closed && s.flight == nil && !resting {
		s.takeOff()
	}
}

// takeOff begins a flight. The caller has the lock, and has seen that the client is not closed.
func (s *slot) takeOff() *flight {
	f := &flight{done: make(chan struct{})}
	s.flight = f
	s.client.running.Add(1)
	go func() {
		defer s.client.running.Done()
		s.land(f, s.fly())
	}()
	return f
}

// land gives the outcome to those who wait, and keeps it. All else has been done by attempt.
func (s *slot) land(f *flight, outcome exchanged) {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	s.flight = nil
	switch {
	case s.client.closed:
		f.err = ErrClosed
	case outcome.err != nil:
		f.err = outcome.err
		s.armForRetry()
	default:
		f.token = outcome.token
		s.store(outcome.token)
	}
	close(f.done)
}

// isRefusal reports whether asking again at once is of no use.
func isRefusal(err error) bool { return errors.Is(err, ErrRefused) || errors.Is(err, ErrCredential) }
