// Package clientjwks finds the public keys that the issuer's clients publish at a jwks_uri (RFC 7591 §2), with the
// care that a verifier takes of its issuer's keys, and never on a network that the operator has not allowed:
//
//	k := clientjwks.New(clientjwks.Config{Log: log})
//	defer k.Close()
//	set, err := k.Keys(ctx, "https://billing.example.com/jwks.json", kid)
//
// It works on demand: nothing is fetched that nobody asks for, and no goroutine lives longer than a fetch.
package clientjwks

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/semaphore"

	"example.com/signet/keys"
	"example.com/signet/keys/remote"
)

// ErrUnavailable is what every error of [Keys.Keys] wraps: there are no keys that may be used, which says nothing about
// the token. What is known of the cause is wrapped too, for the log: [ErrAddress], the sentinels of package remote, and
// errors of a context, which may be the caller's or the fetch's.
var ErrUnavailable = errors.New("client's keys not available")

const (
	maxSources = 1000            // the uris that are remembered
	maxFetches = 16              // under way, in all
	maxWait    = 2 * time.Second // for each caller

	defaultMaxWaiting = 32
	defaultMaxStale   = 24 * time.Hour
	defaultCooldown   = 30 * time.Second
)

// Config says how to fetch. Only Log is required.
type Config struct {
	// Networks are where a jwks_uri may point to besides the public addresses: IPv4 networks in their own form, not as
	// IPv6 ones. Whoever may write a client's jwks_uri can make the issuer send GET requests to them.
	Networks []netip.Prefix
	// Log hears of fetched keys, skipped keys and failed fetches, with the uri.
	Log *slog.Logger
	// Now is the clock; nil means time.Now. Nobody waits by it.
	Now func() time.Time
	// MaxWaiting is how many callers may wait for fetches at once, in all; one more gets what there is. Zero means 32.
	MaxWaiting int
	// MaxStale is how long keys serve, counted from when they were asked for, while their uri answers badly. Zero means
	// 24 hours.
	MaxStale time.Duration
	// Cooldown is the least time from the end of a fetch to the next one, when that is for an unknown kid or the last
	// one failed. Zero means 30 seconds.
	Cooldown time.Duration
}

// Keys are the keys of many clients, the 1,000 uris that were last asked for. It is safe for concurrent use.
type Keys struct {
	cfg      Config
	fetcher  remote.Fetcher
	sources  *lru.Cache[string, *source]
	waiting  *semaphore.Weighted // one for each caller that waits
	fetching *semaphore.Weighted // one for each fetch under way

	life    context.Context // of every fetch: ends with Close
	end     context.CancelFunc
	mu      sync.Mutex
	closed  bool           // guarded by mu: no fetch starts any more
	fetches sync.WaitGroup // added to under mu, while not closed
}

// New returns Keys that have fetched nothing yet. It panics without a Log. The caller closes it.
func New(cfg Config) *Keys { return newKeys(cfg, newDialer(cfg.Networks).DialContext) }

func newKeys(cfg Config, dial dialFunc) *Keys {
	if cfg.Log == nil {
		panic("clientjwks: Config without Log")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxWaiting <= 0 {
		cfg.MaxWaiting = defaultMaxWaiting
	}
	if cfg.MaxStale <= 0 {
		cfg.MaxStale = defaultMaxStale
	}
	if cfg.Cooldown <= 0 {
		cfg.Cooldown = defaultCooldown
	}
	sources, err := lru.New[string, *source](maxSources)
	if err != nil {
		panic("clientjwks: " + err.Error()) // only a size below 1 does that
	}
	k := &Keys{
		cfg:      cfg,
		fetcher:  remote.Fetcher{Client: &http.Client{Transport: newTransport(dial)}},
		sources:  sources,
		waiting:  semaphore.NewWeighted(int64(cfg.MaxWaiting)),
		fetching: semaphore.NewWeighted(maxFetches),
	}
	k.life, k.end = context.WithCancel(context.Background())
	return k
}

// Keys returns the keys published at uri. Kid is the one that the token names, "" when it names none.
//
// Keys that are young enough come back at once when kid is among them, or "". Past 80 % of their max-age a fetch in the
// background follows. Past max-age, or when kid is unknown, the call waits for a fetch: 2 seconds at most, no longer
// than ctx lives, and not at all when a fetch failed or brought no such kid a moment ago (Config.Cooldown), or when too
// many wait or are under way. What comes back then are the best keys there are, kid among them or not. Keys older than
// Config.MaxStale are none. Max-age counts as no less than 75 seconds and no more than 75 minutes, 5 minutes when the
// uri does not say.
//
// The error wraps [ErrUnavailable].
func (k *Keys) Keys(ctx context.Context, uri, kid string) (*keys.Set, error) {
	s := k.source(uri)
	latest, now := s.latest.Load(), k.cfg.Now()
	if latest.knows(kid) {
		switch latest.at(now) {
		case fresh:
			return latest.document.Set, nil
		case aging:
			_, _ = k.join(s, kid) // in the background: what does not start now starts with the next call
			return latest.document.Set, nil
		}
	}
	return k.await(ctx, s, kid)
}

// source returns what is remembered of uri. A uri that is forgotten and asked for again starts from nothing.
func (k *Keys) source(uri string) *source {
	if s, ok := k.sources.Get(uri); ok {
		return s
	}
	s := newSource(uri)
	if prior, ok, _ := k.sources.PeekOrAdd(uri, s); ok {
		return prior
	}
	return s
}

// Close ends every fetch and waits until it has ended. Callers that wait get an error. Later calls of Keys get what
// needs no fetch. Close may be called more than once.
func (k *Keys) Close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.end()
	k.fetches.Wait()
}
