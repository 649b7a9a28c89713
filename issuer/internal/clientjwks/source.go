package clientjwks

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"example.com/signet/keys/remote"
)

const (
	minMaxAge     = 75 * time.Second // so that 80 % of it is a minute at least, an hour at most
	maxMaxAge     = 75 * time.Minute
	defaultMaxAge = 5 * time.Minute // when Cache-Control does not say
)

// source is what is known of one uri. Readers load the snapshot without a lock; one fetch at a time replaces it.
type source struct {
	uri    string
	spread float64 // of the refresh, so that uris fetched together do not stay together
	latest atomic.Pointer[snapshot]

	mu      sync.Mutex
	flight  chan struct{} // guarded by mu: closed when the fetch under way has ended; nil when none is
	lastTry time.Time     // guarded by mu: when the last fetch ended; zero before the first
	failure error         // guarded by mu: why the last fetch failed; nil when it did not
}

func newSource(uri string) *source { return &source{uri: uri, spread: 0.9 + 0.2*rand.Float64()} }

// land ends the flight.
func (s *source) land(now time.Time, failure error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.flight)
	s.flight, s.lastTry, s.failure = nil, now, failure
}

// due reports whether a fetch is to start, for kid or for the age of what is there. Unknown kids are free to invent,
// and a uri that fails once may fail for long: neither has more than one fetch per cool-down. The caller holds s.mu.
func (s *source) due(now time.Time, kid string, cooldown time.Duration) bool {
	rested := s.lastTry.IsZero() || now.Sub(s.lastTry) >= cooldown
	latest := s.latest.Load()
	if latest.at(now) == fresh {
		return rested && !latest.knows(kid)
	}
	return rested || s.failure == nil
}

// keep makes a document that was asked for at the given time the latest.
func (s *source) keep(document *remote.Document, asked time.Time, maxStale time.Duration) {
	maxAge := document.MaxAge
	if maxAge < 0 {
		maxAge = defaultMaxAge
	}
	maxAge = min(max(maxAge, minMaxAge), maxMaxAge, maxStale)
	s.latest.Store(&snapshot{
		document: document,
		aging:    asked.Add(time.Duration(float64(maxAge) * 0.8 * s.spread)),
		old:      asked.Add(maxAge),
		stale:    asked.Add(maxStale),
	})
}

// age is what the time makes of a snapshot.
type age int

const (
	fresh   age = iota // as good as new
	aging              // good, and time to fetch again
	old                // good when no fetch brings better
	useless            // stale, or nothing was ever fetched
)

// snapshot is a document and its times. It never changes; nil is that of a uri which was never fetched.
type snapshot struct {
	document          *remote.Document
	aging, old, stale time.Time // the last moment of the age before
}

func (s *snapshot) at(now time.Time) age {
	switch {
	case s == nil || now.After(s.stale):
		return useless
	case now.After(s.old):
		return old
	case now.After(s.aging):
		return aging
	}
	return fresh
}

// knows reports whether kid is there to be used; "" leaves the choice to the caller.
func (s *snapshot) knows(kid string) bool {
	return s != nil && (kid == "" || s.document.Set.Key(kid) != nil)
}
