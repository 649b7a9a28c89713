// Package cache holds the registry of a database as far as it has been asked for, so that a token costs no round trip. It
// follows the database's changes, and serves what it holds for a while when the database is away:
//
//	c, err := cache.Open(ctx, cache.Config{Store: s, Size: 20000, MaxStale: 5 * time.Minute, Check: fits, Log: log})
//	go c.Run(ctx, wake)
//	client, err := c.Client(ctx, "billing")
package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"example.com/signet/issuer/internal/clients"
)

// Store is where the registry is. Its methods are safe for concurrent use and return within seconds.
type Store interface {
	// Client returns clients.ErrUnknownClient for one that is not there; other errors say that it cannot be told.
	Client(ctx context.Context, id string) (*clients.Client, error)
	// Resources returns all of them, by audience.
	Resources(ctx context.Context) (map[string]*clients.Resource, error)
	// Touched says what has changed since a revision.
	Touched(ctx context.Context, since int64) (clients.Touched, error)
}

// Config is what a [Cache] needs. Store, Size, MaxStale, Check and Log are required.
type Config struct {
	Store    Store
	Size     int                            // how many clients are held, and how many ids that nobody has
	Lookups  int                            // how many requests may wait for the database at once; zero: 32
	MaxStale time.Duration                  // how long what is held serves while the database is away
	Check    func(*clients.Resources) error // whether resources fit what the issuer has: its keys and its settings
	Log      *slog.Logger
	Poll     time.Duration    // how often to look for changes; zero: 1 s
	Now      func() time.Time // nil: time.Now
}

const (
	defaultPoll = time.Second
	// defaultLookups is how many requests wait for the database at once: the others, whose clients are held, are not held
	// up by one that is slow.
	defaultLookups = 32
)

// Why a client or a resource cannot be told.
var (
	ErrStale = errors.New("the database has been away for too long")
	ErrBusy  = errors.New("too many wait for the database")
)

// Cache is the registry, as far as it has been asked for. It is safe for concurrent use. Make it with [Open].
type Cache struct {
	cfg       Config
	resources atomic.Pointer[clients.Resources]
	confirmed atomic.Pointer[time.Time] // when the database last said what has changed, on a clock that nobody can set
	taken     atomic.Int64              // when the resources were taken over, Unix nanoseconds
	trouble   atomic.Pointer[error]     // why what is served is not what the database says; nil: it is

	flights singleflight.Group
	lookups *semaphore.Weighted

	mu      sync.Mutex
	held    *lru.Cache[string, *clients.Client] // guarded by mu
	unknown *lru.Cache[string, struct{}]        // guarded by mu: ids that nobody has
	epoch   int64                               // guarded by mu: how often something was dropped

	following sync.Mutex
	revision  int64 // guarded by following: up to which changes are known
	pending   bool  // guarded by following: resources have changed and are not taken over
	lost      bool  // guarded by following: the last look found no database
}

// Open reads the resources and checks them. The error is the store's, or that of Check.
func Open(ctx context.Context, cfg Config) (*Cache, error) {
	if cfg.Poll == 0 {
		cfg.Poll = defaultPoll
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	held, err := lru.New[string, *clients.Client](cfg.Size)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	unknown, err := lru.New[string, struct{}](cfg.Size)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	c := &Cache{cfg: cfg, held: held, unknown: unknown, lookups: semaphore.NewWeighted(int64(cmp.Or(cfg.Lookups, defaultLookups))), pending: true}
	c.confirmed.Store(&time.Time{})
	if err := c.follow(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Resource returns the resource of that audience, or [clients.ErrUnknownResource].
func (c *Cache) Resource(ctx context.Context, audience string) (*clients.Resource, error) {
	if err := c.fresh(); err != nil {
		return nil, err
	}
	return c.resources.Load().Resource(ctx, audience)
}

// Resources returns all resources as they are served now.
func (c *Cache) Resources() *clients.Resources { return c.resources.Load() }

// Client returns the client named id, enabled or not, or [clients.ErrUnknownClient]. One that is not held is looked up,
// once for all who ask meanwhile; the error then is the store's, [ErrBusy], or that of ctx. When the database has been
// away for longer than MaxStale it is [ErrStale].
func (c *Cache) Client(ctx context.Context, id string) (*clients.Client, error) {
	if err := c.fresh(); err != nil {
		return nil, err
	}
	if client, known := c.find(id); known {
		if client == nil {
			return nil, clients.ErrUnknownClient
		}
		return client, nil
	}
	if clients.CheckID(id) != nil { // nobody has it, and the store need not hear what was sent
		return nil, clients.ErrUnknownClient
	}
	return c.lookUp(ctx, strings.Clone(id)) // what is held is not to hold the whole request
}

func (c *Cache) fresh() error {
	if age := c.Age(); age > c.cfg.MaxStale {
		return fmt.Errorf("%w: for %v", ErrStale, age.Truncate(time.Second))
	}
	return nil
}

// Age returns how long ago the database last said what has changed.
func (c *Cache) Age() time.Duration { return c.cfg.Now().Sub(*c.confirmed.Load()) }

// find returns what is held of an id: the client, or nil for one that nobody has.
func (c *Cache) find(id string) (client *clients.Client, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if client, known = c.held.Get(id); known {
		return client, true
	}
	_, known = c.unknown.Get(id)
	return nil, known
}

// lookUp waits for the store. The place that it takes is free again when the store has answered, not when the caller
// leaves: whoever asks and leaves could else have it asked without bound.
func (c *Cache) lookUp(ctx context.Context, id string) (*clients.Client, error) {
	if !c.lookups.TryAcquire(1) {
		return nil, ErrBusy
	}
	flight := c.share(context.WithoutCancel(ctx), id)
	select {
	case <-ctx.Done():
		go func() {
			<-flight
			c.lookups.Release(1)
		}()
		return nil, fmt.Errorf("looking a client up: %w", ctx.Err())
	case result := <-flight:
		c.lookups.Release(1)
		client, _ := result.Val.(*clients.Client)
		return client, result.Err
	}
}

// share asks the store once for all who ask before something is dropped: what a lookup finds may be from before a change
// that has been followed since. For the same reason it is held only if nothing was dropped meanwhile.
func (c *Cache) share(ctx context.Context, id string) <-chan singleflight.Result {
	c.mu.Lock()
	epoch := c.epoch
	c.mu.Unlock()
	return c.flights.DoChan(strconv.FormatInt(epoch, 10)+" "+id, func() (any, error) {
		client, err := c.cfg.Store.Client(ctx, id)
		if err == nil || errors.Is(err, clients.ErrUnknownClient) {
			c.hold(id, client, epoch)
		}
		return client, err
	})
}

func (c *Cache) hold(id string, client *clients.Client, epoch int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case epoch != c.epoch:
	case client == nil:
		c.unknown.Add(id, struct{}{})
	default:
		c.held.Add(id, client)
	}
}

// Len returns how many clients are held.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held.Len()
}

// Loaded returns when the resources that are served were taken over.
func (c *Cache) Loaded() time.Time { return time.Unix(0, c.taken.Load()) }

// Trouble returns why what is served is not what the database says now; nil when it is.
func (c *Cache) Trouble() error {
	if err := c.trouble.Load(); err != nil {
		return *err
	}
	return nil
}
