package tokens

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	flightTimeout  = 20 * time.Second // one flight, retries included
	attemptTimeout = 10 * time.Second // one attempt, metadata and token together
	maxAttempts    = 3                // of a flight, when the issuer was well before
	firstPause     = 200 * time.Millisecond
	longestPause   = 10 * time.Second
	longestWait    = 2 * time.Second // within a flight; who waits longer gets the error
)

// exchanged is the outcome of an exchange: one of the two.
type exchanged struct {
	token *held
	err   error
}

// fly makes up to three attempts. A failure that is no refusal and the first for a long time is mostly a moment's
// trouble, which those who wait need not hear of; while the issuer is known to be away there is one attempt a flight.
func (s *slot) fly() exchanged {
	ctx, cancel := context.WithTimeout(s.client.ctx, flightTimeout)
	defer cancel()
	for {
		outcome, attempt, pause := s.attempt(ctx)
		isLast := attempt >= maxAttempts || pause > longestWait
		if outcome.err == nil || isRefusal(outcome.err) || isLast || !sleep(ctx, pause) {
			return outcome
		}
	}
}

// sleep reports whether ctx lasted as long.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// attempt makes one exchange and says what came of it to those who want to know. It returns which attempt since a
// success it was, and for how long the issuer is to be left alone.
func (s *slot) attempt(ctx context.Context) (outcome exchanged, number int, pause time.Duration) {
	began := time.Now()
	outcome.token, outcome.err = s.obtain(ctx)
	if s.client.ctx.Err() != nil {
		return exchanged{err: ErrClosed}, maxAttempts, 0
	}
	number, pause = s.count(outcome.err)
	s.tell(outcome.err, number, pause)
	if hook := s.client.cfg.OnExchange; hook != nil {
		e := Exchange{Resource: s.resource, Scope: s.scope, Err: outcome.err, Attempt: number, Retry: pause}
		e.Took = time.Since(began)
		if outcome.err == nil {
			e.Token = outcome.token.token
		}
		hook(e)
	}
	return outcome, number, pause
}

// count remembers whether an attempt failed, and until when the issuer is to be left alone.
func (s *slot) count(err error) (number int, pause time.Duration) {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	number = s.failures + 1
	if err == nil {
		s.failures, s.failed, s.client.busy = 0, rest{}, rest{}
		return number, 0
	}
	asked := retryAfter(err)
	pause = max(s.backoff(number), asked)
	s.failures, s.failed = number, rest{err, s.client.cfg.Now().Add(pause), pause}
	if asked > 0 {
		s.client.busy = s.failed
	}
	return number, pause
}

// backoff is the pause after so many failures: 0.1 to 0.2 s, then twice as long each time, up to 5 to 10 s.
func (s *slot) backoff(failures int) time.Duration {
	pause := longestPause
	if doublings := failures - 1; doublings < 6 {
		pause = min(firstPause<<doublings, longestPause)
	}
	return pause/2 + time.Duration(s.client.cfg.Random()*float64(pause/2))
}

func (s *slot) tell(err error, number int, pause time.Duration) {
	log := s.client.cfg.Log.With("issuer", s.client.cfg.Issuer, "client_id", s.client.cfg.ClientID)
	switch {
	case err != nil:
		log.Warn("no token", "cause", err, "attempt", number, "retry_in", rounded(pause))
	case number > 1:
		log.Info("tokens again", "attempt", number)
	}
}

// obtain exchanges a fresh proof of who we are for a token.
func (s *slot) obtain(ctx context.Context) (*held, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	cfg := &s.client.cfg
	asked := cfg.Now()
	answer, err := s.client.endpoint.exchange(ctx, s, asked)
	switch {
	case errors.Is(err, ErrCredential):
		return nil, err
	case errors.Is(err, context.DeadlineExceeded): // ours: the caller's is to be told from it
		return nil, fmt.Errorf("obtaining a token from %s: %w: no answer in time", cfg.Issuer, ErrUnreachable)
	case err != nil:
		return nil, fmt.Errorf("obtaining a token from %s: %w", cfg.Issuer, err)
	}
	token := Token{value: &answer.AccessToken, Scope: answer.Scope}
	if answer.ExpiresIn == 0 {
		return &held{token: token, value: cfg.Header.value(token)}, nil
	}
	life := time.Duration(answer.ExpiresIn) * time.Second
	token.Expires = asked.Add(life).Round(0)
	if passed(cfg.Now(), asked.Add(life)) {
		return nil, fmt.Errorf("obtaining a token from %s: %w: it took longer than the token lives", cfg.Issuer, ErrAnswer)
	}
	return s.hold(token, asked, life), nil
}
