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

// held is a token that is handed out, and what is derived of it.
type held struct {
	token     Token
	value     string    // of the header field that carries it
	refreshAt time.Time // refreshed from then on
	expires   time.Time // not handed out from then on
	used      atomic.Bool
}

// use remembers that somebody wanted the token. It is written once only: all processors read it.
func (h *held) use() {
	if !h.used.Load() {
		h.used.Store(true)
	}
}

// passed reports whether the moment has come, by the wall clock or by the monotonic one: the one can be set back, and
// the other stands still while the machine sleeps.
func passed(now, moment time.Time) bool {
	return !now.Before(moment) || !now.Round(0).Before(moment)
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

// keep hands out a token from elsewhere, as if it had just been obtained.
func (s *slot) keep(token Token) {
	now := s.client.cfg.Now()
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	if left := token.Expires.Sub(now); left > 0 {
		s.store(s.hold(token, now, left))
	}
}

// hold derives the times of a token that was asked for at a moment and lives so long. It is refreshed when 80 % of its
// life, give or take 10 %, are over, so that many clients do not ask at once.
func (s *slot) hold(token Token, asked time.Time, life time.Duration) *held {
	earliest, spread := life/10*7, life/10*2
	return &held{
		token:     token,
		value:     s.client.cfg.Header.value(token),
		refreshAt: asked.Add(earliest + time.Duration(s.client.cfg.Random()*float64(spread))),
		expires:   asked.Add(life),
	}
}

// store hands out h from now on, if it says how long it lasts. The caller has the lock.
func (s *slot) store(h *held) {
	if h.expires.IsZero() {
		return
	}
	s.current.Store(h)
	s.arm(h, h.refreshAt)
}

// drop forgets the token if it is the one that is handed out.
func (s *slot) drop(token Token) {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	if kept := s.current.Load(); kept != nil && kept.token.is(token) {
		s.forget()
	}
}

// renew drops a token that a resource server refused, and reports whether to try another one: not when that has been
// done too often of late. Then it is not age that is wrong with our tokens, and the issuer is not to be asked for one
// for each request.
func (s *slot) renew(refused *held) bool {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	kept := s.current.Load()
	isReplaced := kept != refused && !refused.expires.IsZero()
	if isReplaced {
		return true
	}
	if !s.renewals.AllowN(s.client.cfg.Now(), 1) {
		return false
	}
	if kept == refused {
		s.forget()
	}
	return true
}

// forget drops the current token. The caller has the lock.
func (s *slot) forget() {
	s.current.Store(nil)
	s.disarm()
}

// arm sets the timer that refreshes h, also when nobody calls at the right moment. The caller has the lock.
func (s *slot) arm(h *held, at time.Time) {
	s.disarm()
	s.client.running.Add(1)
	s.timer = time.AfterFunc(at.Sub(s.client.cfg.Now()), func() { s.due(h) })
}

// armForRetry sets the timer for a token that could not be refreshed.
func (s *slot) armForRetry() {
	if kept := s.current.Load(); kept != nil && s.retryAt.Before(kept.expires) {
		s.arm(kept, s.retryAt)
	}
}

func (s *slot) disarm() {
	if s.timer != nil && s.timer.Stop() {
		s.client.running.Done()
	}
	s.timer = nil
}

// due refreshes the token if anybody has wanted it since it came; otherwise the next who does will. So a program that
// has become idle lets its issuer rest.
func (s *slot) due(h *held) {
	defer s.client.running.Done()
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	if s.current.Load() == h && h.used.Load() {
		s.refreshLocked()
	}
}

// isRefusal reports whether asking again at once is of no use.
func isRefusal(err error) bool { return errors.Is(err, ErrRefused) || errors.Is(err, ErrCredential) }
