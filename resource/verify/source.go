package verify

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"example.com/signet/keys"
	"example.com/signet/keys/remote"
)

const (
	unknownKeyWait = 2 * time.Second // how long a caller with an unknown kid waits at most
	maxRefresh     = time.Hour
	defaultMaxAge  = 5 * time.Minute // when the issuer does not say
	firstRetry     = 250 * time.Millisecond
	maxRetry       = 5 * time.Second // an issuer that comes up is noticed within this time
)

var (
	errNoKeys  = refuse(ErrUnavailable, "none fetched yet")
	errTooOld  = refuse(ErrUnavailable, "not refreshed for too long")
	errUnknown = refuse(ErrUnknownKey, "kid is not among the issuer's keys")
	errWaiting = refuse(ErrUnavailable, "still being fetched")
)

// snapshot is the keys as of one fetch. It never changes.
type snapshot struct {
	set     *keys.Set // nil before the first fetch
	goodFor time.Time // the last moment at which they may be used
}

func (s *snapshot) usable(now time.Time) error {
	switch {
	case s.set.Len() == 0:
		return errNoKeys
	case now.After(s.goodFor):
		return errTooOld
	}
	return nil
}

// source keeps an issuer's keys. One goroutine fetches; everybody else reads the snapshot without a lock.
type source struct {
	cfg     Config
	fetcher remote.Fetcher
	latest  atomic.Pointer[snapshot]

	stop    context.CancelFunc
	stopped chan struct{} // closed when the goroutine has ended
	wake    chan struct{} // holds one request to fetch now

	mu      sync.Mutex
	flight  chan struct{} // guarded by mu: closed when the fetch that is wanted or under way ends; nil when none is
	lastTry time.Time     // guarded by mu: when the last fetch ended

	previous *remote.Document // owned by the goroutine
}

// startSource starts fetching.
func startSource(cfg Config) *source {
	ctx, cancel := context.WithCancel(context.Background())
	s := &source{
		cfg:     cfg,
		fetcher: remote.Fetcher{Client: cfg.HTTPClient},
		stop:    cancel,
		stopped: make(chan struct{}),
		wake:    make(chan struct{}, 1),
		flight:  make(chan struct{}), // the first fetch
	}
	s.latest.Store(&snapshot{})
	go s.run(ctx)
	return s
}

func (s *source) close() {
	s.stop()
	<-s.stopped
}

func (s *source) current() *snapshot { return s.latest.Load() }

// await returns a snapshot that knows kid. It joins the fetch that is under way, or asks for one unless the last was a
// moment ago: unknown kids are free to invent, fetches are not.
func (s *source) await(ctx context.Context, kid string) (*snapshot, error) {
	timer := time.NewTimer(unknownKeyWait)
	defer timer.Stop()
	for range 2 { // a fetch that was under way already may have been answered before the key was there
		flight := s.join()
		if flight == nil {
			break
		}
		select {
		case <-flight:
		case <-s.stopped:
		case <-timer.C: // whether the issuer publishes the key is not known, so this is no verdict on the token
			return nil, errWaiting
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", errWaiting, ctx.Err())
		}
		if s.current().set.Key(kid) != nil {
			break
		}
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

// join returns the fetch to wait for, nil when there is nothing to wait for. Within the cool-down there is none, unless
// the cool-down is so short that a caller can wait for its end.
func (s *source) join() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight != nil {
		return s.flight
	}
	rest := s.cfg.Cooldown - s.cfg.Now().Sub(s.lastTry)
	switch {
	case rest <= 0:
		s.flight = make(chan struct{})
		s.wakeUp()
	case s.cfg.Cooldown <= unknownKeyWait:
		s.flight = make(chan struct{})
		time.AfterFunc(rest, s.wakeUp)
	}
	return s.flight
}

// wakeUp asks for a fetch now. One request is as good as two.
func (s *source) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run fetches at once, then whenever the keys grow old or somebody asks.
func (s *source) run(ctx context.Context) {
	defer close(s.stopped)
	retry := firstRetry
	for {
		wait, err := s.refresh(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.cfg.Log.Warn("fetching keys failed", "issuer", s.cfg.Issuer, "cause", err)
			wait, retry = retry, min(2*retry, s.maxRetry())
		} else {
			retry = firstRetry
		}
		timer := time.NewTimer(jitter(wait))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-s.wake:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// maxRetry is how long to wait between attempts: long once there are keys that last.
func (s *source) maxRetry() time.Duration {
	if s.current().set.Len() > 0 {
		return s.cfg.MinRefresh
	}
	return maxRetry
}

// refresh fetches once and says when to fetch again. A bad answer leaves the keys as they are.
func (s *source) refresh(ctx context.Context) (time.Duration, error) {
	s.takeOff()
	defer s.land()
	asked := s.cfg.Now()
	address, err := s.address(ctx)
	if err != nil {
		return 0, err
	}
	document, err := s.fetcher.JWKS(ctx, address, s.previous)
	if err != nil {
		return 0, err
	}
	if document.Set != s.previousSet() {
		for _, reason := range document.Skipped {
			s.cfg.Log.Warn("skipping a published key", "issuer", s.cfg.Issuer, "cause", reason)
		}
		s.cfg.Log.Info("keys fetched", "issuer", s.cfg.Issuer, "keys", document.Set.Len())
	}
	s.previous = document
	s.latest.Store(&snapshot{set: document.Set, goodFor: asked.Add(s.cfg.MaxStale)})
	maxAge := document.MaxAge
	if maxAge < 0 {
		maxAge = defaultMaxAge
	}
	// Long before the keys grow stale, or an issuer that is well would not keep them good.
	return min(max(maxAge*8/10, s.cfg.MinRefresh), maxRefresh, s.cfg.MaxStale/2), nil
}

func (s *source) previousSet() *keys.Set {
	if s.previous == nil {
		return nil
	}
	return s.previous.Set
}

// takeOff announces a fetch, so that callers join it instead of asking for another.
func (s *source) takeOff() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.wake: // this fetch is the one that was asked for
	default:
	}
	if s.flight == nil {
		s.flight = make(chan struct{})
	}
}

func (s *source) land() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.flight)
	s.flight = nil
	s.lastTry = s.cfg.Now()
}

// address is where the keys are.
func (s *source) address(ctx context.Context) (string, error) {
	if s.cfg.JWKSURL != "" {
		return s.cfg.JWKSURL, nil
	}
	metadata, err := s.fetcher.Metadata(ctx, s.cfg.Issuer)
	if err != nil {
		return "", err
	}
	if metadata.JWKSURI == "" {
		return "", fmt.Errorf("%w: the metadata of %s have no jwks_uri", remote.ErrDocument, s.cfg.Issuer)
	}
	return metadata.JWKSURI, nil
}

// jitter spreads d by a tenth either way, so that many verifiers do not ask at once.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}
