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
	defaultMaxAge = 5 * time.Minute // when the issuer does not say
	firstRetry    = 250 * time.Millisecond
	maxRetry      = 5 * time.Second // an issuer that comes up is noticed within this time
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

// source keeps one issuer's keys. One goroutine fetches; everybody else reads the snapshot without a lock.
type source struct {
	issuer string
	cfg    *Config
	load   func(ctx context.Context, search bool) (*remote.Document, error) // nil: the keys never change
	latest atomic.Pointer[snapshot]

	changed func() // called when there are other keys than before

	stop    context.CancelFunc
	stopped chan struct{} // closed when the goroutine has ended
	wake    chan struct{} // holds one request to fetch now

	mu      sync.Mutex
	flight  chan struct{} // guarded by mu: closed when the fetch that is wanted or under way ends; nil when none is
	flying  bool          // guarded by mu: it is under way
	lastTry time.Time     // guarded by mu: when the last fetch ended

	waiting atomic.Int32 // callers who wait for a fetch
}

// newSource returns a source that does not fetch yet. One with a file has read it: a mistake in the name shows at once.
func newSource(issuer Issuer, cfg *Config) (*source, error) {
	s := &source{
		issuer:  issuer.ID,
		cfg:     cfg,
		stop:    func() {},
		stopped: make(chan struct{}),
		wake:    make(chan struct{}, 1),
	}
	s.latest.Store(&snapshot{})
	if issuer.JWKS != nil {
		s.latest.Store(&snapshot{set: issuer.JWKS, goodFor: endOfTime})
		return s, nil
	}
	loader := newLoader(issuer, cfg)
	s.load = loader.load
	if issuer.JWKSFile != "" {
		if _, err := s.fetch(context.Background(), false); err != nil {
			return nil, fmt.Errorf("verify: %w", err)
		}
	}
	return s, nil
}

// endOfTime is after every moment that a token can name.
var endOfTime = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)

// start starts fetching, where there is something to fetch.
func (s *source) start() {
	if s.load == nil {
		close(s.stopped)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.flight = make(chan struct{}) // the first fetch
	go s.run(ctx)
}

func (s *source) current() *snapshot { return s.latest.Load() }

// run fetches at once, then whenever the keys grow old or somebody asks.
func (s *source) run(ctx context.Context) {
	defer close(s.stopped)
	for retry := firstRetry; ; {
		wait, err := s.refresh(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.cfg.Log.Warn("fetching keys failed", "issuer", s.issuer, "cause", err)
			wait = min(retry, s.maxRetry())
			retry = min(2*retry, s.cfg.Fetch.MinRefresh)
		} else {
			retry = firstRetry
		}
		timer := time.NewTimer(jitter(wait, s.cfg.Fetch.Jitter))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-s.wake:
			s.wakeUp() // refresh looks whether somebody asks
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// maxRetry is how long to wait between attempts: long as long as there are keys that last.
func (s *source) maxRetry() time.Duration {
	if s.current().usable(s.cfg.Now()) == nil {
		return s.cfg.Fetch.MinRefresh
	}
	return maxRetry
}

// refresh fetches once, for whoever waits, and says when to fetch again.
func (s *source) refresh(ctx context.Context) (next time.Duration, err error) {
	began, before := time.Now(), s.current().set
	asked := s.takeOff()
	next, err = s.fetch(ctx, asked)
	s.land()
	if s.cfg.OnFetch != nil && ctx.Err() == nil {
		after := s.current().set
		took := time.Since(began)
		s.cfg.OnFetch(Fetched{Issuer: s.issuer, Err: err, Keys: after.Len(), Changed: after != before, Took: took})
	}
	return next, err
}

// fetch fetches once and says when to fetch again. A bad answer leaves the keys as they are.
func (s *source) fetch(ctx context.Context, asked bool) (next time.Duration, err error) {
	before, now := s.current().set, s.cfg.Now()
	document, err := s.load(ctx, asked)
	if err != nil {
		return 0, err
	}
	s.take(document, before, now)
	return s.cfg.Fetch.interval(document.MaxAge), nil
}

// take makes a document's keys the ones to verify with.
func (s *source) take(document *remote.Document, before *keys.Set, asked time.Time) {
	if document.Set != before {
		for _, reason := range document.Skipped {
			s.cfg.Log.Warn("skipping a published key", "issuer", s.issuer, "cause", reason)
		}
		s.cfg.Log.Info("keys fetched", "issuer", s.issuer, "keys", document.Set.Len())
	}
	s.latest.Store(&snapshot{set: document.Set, goodFor: asked.Add(s.cfg.Fetch.MaxStale)})
	if document.Set != before && before != nil {
		s.changed()
	}
}

// interval is how long to wait until the next fetch.
func (f *Fetch) interval(maxAge time.Duration) time.Duration {
	if maxAge < 0 {
		maxAge = defaultMaxAge
	}
	// Long before the keys grow stale, or an issuer that is well would not keep them good.
	return min(max(time.Duration(float64(maxAge)*f.RefreshAt), f.MinRefresh), f.MaxRefresh, f.MaxStale/2)
}

// takeOff announces a fetch, so that callers join it instead of asking for another. It reports whether one was asked
// for.
func (s *source) takeOff() (asked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.wake: // this fetch is the one
		asked = true
	default:
	}
	if s.flight == nil {
		s.flight = make(chan struct{})
	}
	s.flying = true
	return asked
}

func (s *source) land() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.flight)
	s.flight, s.flying = nil, false
	s.lastTry = s.cfg.Now()
}

// jitter spreads d by a part of it either way.
func jitter(d time.Duration, part float64) time.Duration {
	spread := time.Duration(float64(d) * part)
	return d - spread + rand.N(2*spread+1)
}
