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
	failed   rest        // guarded; after the last of them
	timer    *time.Timer // guarded; nil: not set

	proving  atomic.Bool   // the credential has been asked, and has not answered yet
	renewals *rate.Limiter // how often a refused token is replaced
}

// rest is a time for which the issuer is left alone. The zero value is none.
type rest struct {
	err   error
	until time.Time
	pause time.Duration // how long it was from the beginning
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
	case <-s.client.ctx.Done(): // also when the flight hangs
		return nil, ErrClosed
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
	left, err := s.resting(now)
	switch {
	case s.client.closed:
		return nil, nil, ErrClosed
	case kept != nil && !passed(now, kept.expires):
		kept.use()
		return kept, nil, nil
	case s.flight != nil:
		return nil, s.flight, nil
	case err != nil:
		return nil, nil, fmt.Errorf("%w (the issuer is asked again in %v)", err, rounded(left))
	}
	return nil, s.takeOff(), nil
}

// resting returns why the issuer is left alone, and for how long still; nil when it is not. What the issuer has asked for
// counts for all targets. The caller has the lock.
func (s *slot) resting(now time.Time) (left time.Duration, why error) {
	for _, rest := range []*rest{&s.failed, &s.client.busy} {
		if l := rest.until.Sub(now); l > left && l <= rest.pause { // a longer one is of a clock that was set back
			why, left = rest.err, l
		}
	}
	return left, why
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
	if _, err := s.resting(s.client.cfg.Now()); err == nil && s.flight == nil && !s.client.closed {
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
		outcome := exchanged{err: errBrokenOff}
		defer func() {
			if errors.Is(outcome.err, errBrokenOff) {
				s.count(outcome.err) // or the next attempt would follow at once
			}
			s.land(f, outcome)
		}()
		outcome = s.fly()
	}()
	return f
}

// errBrokenOff is the outcome of a flight that a hook has ended by [runtime.Goexit].
var errBrokenOff = fmt.Errorf("%w: the attempt was broken off", ErrAnswer)

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
