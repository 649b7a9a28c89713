package verify

import (
	"context"
	"fmt"
	"time"
)

// maxWaiting is how many callers may wait for one issuer's keys. Each of them costs memory, and to send a token with an
// invented kid costs nothing.
const maxWaiting = 1000

// await returns a snapshot that knows kid. It joins the fetch that is under way, or asks for one unless the last was a
// moment ago: unknown kids are free to invent, fetches are not. An issuer that does not answer is no reason to call the
// token anything but unknown, as long as there are usable keys: bad tokens are refused as such throughout.
func (s *source) await(ctx context.Context, kid string) (*snapshot, error) {
	if err := s.wait(ctx, kid); err != nil {
		return nil, err
	}
	latest := s.current()
	if err := latest.usable(s.cfg.Now()); err != nil {
		return nil, err
	}
	if latest.set.Key(kid) == nil {
		return nil, errUnknown
	}
	return latest, nil
}

// wait waits for a fetch that may bring kid, as long as the caller may and no longer than the setting. The error is
// that of a caller who could not wait so long.
func (s *source) wait(ctx context.Context, kid string) error {
	flight, flying := s.join()
	if flight == nil {
		return nil
	}
	defer s.waiting.Add(-1)
	if s.waiting.Add(1) > maxWaiting {
		return nil
	}
	timer := time.NewTimer(s.cfg.Fetch.Wait)
	defer timer.Stop()
	for flight != nil {
		select {
		case <-flight:
		case <-s.stopped:
			return nil
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", errWaiting, ctx.Err())
		}
		if !flying || s.current().set.Key(kid) != nil {
			return nil
		}
		flight, _ = s.join() // the one that was under way may have been answered before the key was there
		flying = false
	}
	return nil
}

// join returns the fetch to wait for, nil when there is nothing to wait for, and whether it is under way already.
func (s *source) join() (flight <-chan struct{}, flying bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight != nil || s.load == nil {
		return s.flight, s.flying
	}
	rest := s.rest()
	switch {
	case rest <= 0:
		s.flight = make(chan struct{})
		s.wakeUp()
	case s.cfg.Fetch.Cooldown <= s.cfg.Fetch.Wait: // so short that a caller can wait for its end
		wanted := make(chan struct{})
		s.flight = wanted
		time.AfterFunc(rest, func() { s.wakeUpFor(wanted) })
	}
	return s.flight, false
}

// wakeUpFor asks for a fetch now, unless another reason has begun it already.
func (s *source) wakeUpFor(wanted chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight == wanted && !s.flying {
		s.wakeUp()
	}
}

// isCoolingDown reports whether join would return nothing.
func (s *source) isCoolingDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.load == nil || (s.flight == nil && s.rest() > 0 && s.cfg.Fetch.Cooldown > s.cfg.Fetch.Wait)
}

// rest is what is left of the cool-down. The caller holds mu.
func (s *source) rest() time.Duration {
	since := s.cfg.Now().Sub(s.lastTry)
	if since < 0 { // a clock that was set back must not stop fetches
		return 0
	}
	return s.cfg.Fetch.Cooldown - since
}

// wakeUp asks for a fetch now. One request is as good as two.
func (s *source) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
