package tokens

import (
	"sync/atomic"
	"time"
)

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

// keep hands out a token from elsewhere, as if it had just been obtained.
func (s *slot) keep(token Token) {
	now := s.client.cfg.Now()
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	if left := min(token.Expires.Sub(now), maxLife*time.Second); left > 0 {
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
	if kept := s.current.Load(); kept != nil && s.failed.until.Before(kept.expires) {
		s.arm(kept, s.failed.until)
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
