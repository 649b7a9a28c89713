// Package keeper keeps the issuer's signing keys as their policy says: it makes the standby that is missing, removes keys
// that are due, and serves the ring as it is at the moment. It decides nothing by itself: everything
// follows from the keys, the policy and the clock, so that any number of keepers of one ring agree.
//
//	k, err := keeper.Open(keeper.Config{Store: keys.Directory("keys/local/issuer"), Policy: policy, Log: log})
//	go k.Run(ctx)
//	key, err := k.Active(keys.ES256, time.Now())
package keeper

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"example.com/signet/keys"
)

// Store is where the keys are: a [keys.Directory], or a database. Its methods are safe for concurrent use and return
// within seconds, but for Lock, which waits. What it cannot do it says by the sentinels of package keys.
type Store interface {
	String() string // for messages: where it is

	// State is another whenever the keys are others; the same state means the same keys.
	State() (string, error)
	// Read returns the ring. With [keys.ErrDamaged] it comes without the keys that the error names, or there is none.
	Read() (*keys.Ring, error)
	// Writable returns [keys.ErrReadOnly] where somebody else adds and removes keys.
	Writable() error
	// Make makes the store itself where it is missing.
	Make() error

	// Lock waits until nobody else changes the keys and returns what ends that.
	Lock() (unlock func(), err error)
	Add(k keys.RingKey) error
	Move(kid string, signsFrom time.Time) error
	Remove(kid string) error
}

var _ Store = keys.Directory("")

// Config is what a keeper needs. Store, Policy and Log are required.
type Config struct {
	Store  Store
	Policy keys.Policy
	Log    *slog.Logger     // hears of what cannot be done
	Audit  *slog.Logger     // hears of every step in a key's life; nil: Log
	Poll   time.Duration    // how often to look at the store; zero: 1 s
	Now    func() time.Time // nil: time.Now

	// Uptime is how long this process has been watching, on a clock that nobody can set; nil: since Open.
	Uptime func() time.Duration
}

const defaultPoll = time.Second

// Keeper serves the ring. It is safe for concurrent use. Make it with [Open].
type Keeper struct {
	cfg     Config
	ring    atomic.Pointer[keys.Ring]
	trouble atomic.Pointer[error] // why the keys, as they stand, cannot be used or kept; nil: they can

	mu            sync.Mutex
	seen          string                       // guarded by mu: the state of the store when it was last read
	damage        error                        // guarded by mu: what it was read without
	states        map[string]keys.State        // guarded by mu: of each kid, when last looked at
	retiredSince  map[string]time.Duration     // guarded by mu: the uptime at which a kid was first seen retired
	occupied      map[keys.Algorithm]time.Time // guarded by mu: for when no key can be made, until the keys are others
	warned        map[keys.Algorithm]time.Time // guarded by mu: when a rotation that cannot happen was last warned of
	began         time.Time                    // guarded by mu: when the uptime was zero, by the wall clock
	clockGoodFrom time.Duration                // guarded by mu: the uptime from which the wall clock is believed
}

// Open reads the ring. The error is that of Store.Read when there is none.
func Open(cfg Config) (*Keeper, error) {
	if cfg.Poll == 0 {
		cfg.Poll = defaultPoll
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Audit == nil {
		cfg.Audit = cfg.Log
	}
	if cfg.Uptime == nil {
		opened := time.Now()
		cfg.Uptime = func() time.Duration { return time.Since(opened) }
	}
	k := &Keeper{
		cfg:          cfg,
		states:       make(map[string]keys.State),
		retiredSince: make(map[string]time.Duration),
		occupied:     make(map[keys.Algorithm]time.Time),
		warned:       make(map[keys.Algorithm]time.Time),
		began:        cfg.Now().Round(0).Add(-cfg.Uptime()),
	}
	state, err := cfg.Store.State()
	if err != nil {
		return nil, err
	}
	ring, err := cfg.Store.Read()
	if ring == nil {
		return nil, err
	}
	if err != nil {
		cfg.Log.Error("a key is damaged; serving the others", "cause", err)
		k.trouble.Store(&err)
	}
	k.seen, k.damage = state, err
	k.ring.Store(ring)
	return k, nil
}

// Ring returns the keys as they are now. It is another pointer whenever it is another ring.
func (k *Keeper) Ring() *keys.Ring { return k.ring.Load() }

// Active is Ring().Active.
func (k *Keeper) Active(alg keys.Algorithm, now time.Time) (*keys.PrivateKey, error) {
	return k.Ring().Active(alg, now)
}

// Survey returns where every key is in its life.
func (k *Keeper) Survey() []keys.Survey { return k.cfg.Policy.Survey(k.Ring(), k.cfg.Now()) }

// Trouble returns why the keys cannot be used or kept as they stand; nil when they can. The ring from before is served
// meanwhile.
func (k *Keeper) Trouble() error {
	if err := k.trouble.Load(); err != nil {
		return *err
	}
	return nil
}

// Run looks at the keys until ctx ends: every Poll, when a key begins to sign, and whenever wake says so. What could
// not be done is in the log, and tried again the next time.
func (k *Keeper) Run(ctx context.Context, wake <-chan struct{}) {
	for {
		_ = k.Look()
		timer := time.NewTimer(k.pause())
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-wake:
		}
		timer.Stop()
	}
}

// pause is how long nothing can happen that this keeper has to see at once.
func (k *Keeper) pause() time.Duration {
	wait := k.cfg.Poll
	if next, ok := k.Ring().NextChange(k.cfg.Now()); ok {
		wait = min(wait, next.Sub(k.cfg.Now()))
	}
	return max(wait, time.Millisecond)
}

// Look does once what is to be done now: reads the keys if they have changed, makes and removes keys, and tells the
// log what has happened. It returns what could not be done, which Trouble returns too.
func (k *Keeper) Look() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.watchClock()
	err := k.reload()
	if err == nil {
		err = k.tend()
	}
	k.audit()
	err = errors.Join(err, k.damage)
	if was := k.Trouble(); err != nil && (was == nil || was.Error() != err.Error()) {
		k.cfg.Log.Error("keeping the keys failed; serving those from before", "cause", err)
	}
	if err == nil {
		k.trouble.Store(nil)
	} else {
		k.trouble.Store(&err)
	}
	return err
}
