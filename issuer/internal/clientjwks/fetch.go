package clientjwks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/signet/keys"
	"example.com/signet/keys/remote"
)

var (
	errClosed  = fmt.Errorf("%w: closed", ErrUnavailable)
	errFetches = fmt.Errorf("%w: too many fetches under way", ErrUnavailable)
	errWaiting = fmt.Errorf("%w: too many callers waiting", ErrUnavailable)
	errSlow    = fmt.Errorf("%w: still being fetched", ErrUnavailable)
	errTooOld  = errors.New("not fetched for too long")
)

// await waits for a fetch where one may be had, and returns the best there is then.
func (k *Keys) await(ctx context.Context, s *source, kid string) (*keys.Set, error) {
	flight, err := k.join(s, kid)
	if flight != nil {
		err = k.wait(ctx, flight)
	}
	if errors.Is(err, errClosed) {
		return nil, err
	}
	if latest := s.latest.Load(); latest.at(k.cfg.Now()) != useless {
		return latest.document.Set, nil
	}
	if err != nil {
		return nil, err
	}
	return nil, s.unavailable()
}

// unavailable says why nothing is there although nothing is left to wait for.
func (s *source) unavailable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	cause := s.failure
	if cause == nil {
		cause = errTooOld // fetched, and the clock has gone on since
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, cause)
}

// wait waits for a flight. Nil means that it has landed.
func (k *Keys) wait(ctx context.Context, flight <-chan struct{}) error {
	if !k.waiting.TryAcquire(1) {
		return errWaiting
	}
	defer k.waiting.Release(1)
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case <-flight:
	case <-k.life.Done():
	case <-timer.C:
		return errSlow
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", errSlow, ctx.Err())
	}
	if k.life.Err() != nil { // it landed because it was ended
		return errClosed
	}
	return nil
}

// join returns the fetch to wait for, which it starts when one is due. Nil means that there is nothing to wait for; the
// error says that one is due and cannot be had.
func (k *Keys) join(s *source, kid string) (<-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight != nil {
		return s.flight, nil
	}
	if !s.due(k.cfg.Now(), kid, k.cfg.Cooldown) {
		return nil, nil
	}
	if !k.fetching.TryAcquire(1) {
		return nil, errFetches
	}
	s.flight = make(chan struct{}) // before the fetch, which closes it
	if !k.launch(func() { k.fetch(s) }) {
		s.flight = nil
		k.fetching.Release(1)
		return nil, errClosed
	}
	return s.flight, nil
}

// launch runs f beside the caller, unless Close has been called.
func (k *Keys) launch(f func()) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return false
	}
	k.fetches.Go(f)
	return true
}

// fetch fetches once, for everybody and therefore on nobody's context. A bad answer leaves the keys as they are.
func (k *Keys) fetch(s *source) {
	asked, previous := k.cfg.Now(), s.latest.Load()
	ctx, cancel := withConnections(k.life)
	document, err := k.fetcher.JWKS(ctx, s.uri, previous.kept())
	cancel()
	switch {
	case err == nil:
		k.report(s.uri, document, previous.kept())
		s.keep(document, asked, k.cfg.MaxStale)
	case k.life.Err() == nil: // otherwise Close ended it
		k.cfg.Log.Warn("fetching a client's keys failed", "uri", s.uri, "cause", err)
	}
	k.fetching.Release(1)
	s.land(k.cfg.Now(), err)
}

// kept is the document to ask for again.
func (s *snapshot) kept() *remote.Document {
	if s == nil {
		return nil
	}
	return s.document
}

// report logs a document, unless it is the one that was there. One line for all the skipped keys: there may be 99, and
// the client decides how many.
func (k *Keys) report(uri string, document, previous *remote.Document) {
	if previous != nil && document.Set == previous.Set {
		return
	}
	if n := len(document.Skipped); n > 0 {
		k.cfg.Log.Warn("skipping a client's keys", "uri", uri, "skipped", n, "first", document.Skipped[0])
	}
	k.cfg.Log.Info("client's keys fetched", "uri", uri, "keys", document.Set.Len())
}
