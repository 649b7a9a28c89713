// Package limit bounds how much callers may ask for: how often each of them, with a token bucket a caller, and how much at
// once, all of them together.
//
//	addresses, err := limit.NewBuckets[netip.Prefix](65536, 50, 500, time.Now)
//	if wait := addresses.Take(prefix); wait > 0 { … 429, Retry-After }
package limit

import (
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Buckets is a token bucket for each caller, for a bounded number of callers. It is safe for concurrent use. Make it with
// [NewBuckets].
type Buckets[K comparable] struct {
	rate    rate.Limit
	burst   int
	now     func() time.Time
	callers *lru.Cache[K, *rate.Limiter]
}

// NewBuckets returns full buckets that take perSecond requests in the long run and burst at once; both are at least 1.
// There is one for each of at most the given number of callers, about 300 octets each; the one that has not been used for
// the longest time makes room for a new one, and whoever it was starts with a full one again.
func NewBuckets[K comparable](callers, perSecond, burst int, now func() time.Time) (*Buckets[K], error) {
	if perSecond < 1 || burst < 1 {
		return nil, fmt.Errorf("limit: %d requests a second and %d at once: both must be at least 1", perSecond, burst)
	}
	known, err := lru.New[K, *rate.Limiter](callers)
	if err != nil {
		return nil, err
	}
	return &Buckets[K]{rate: rate.Limit(perSecond), burst: burst, now: now, callers: known}, nil
}

// Take takes one request out of the caller's bucket. When it is empty nothing is taken, and Take returns how long it will
// be until there is one.
func (b *Buckets[K]) Take(caller K) (wait time.Duration) {
	bucket, now := b.of(caller), b.now()
	if bucket.AllowN(now, 1) {
		return 0
	}
	missing := 1 - bucket.TokensAt(now)
	return max(time.Duration(missing/float64(b.rate)*float64(time.Second)), time.Millisecond)
}

// Charge takes n requests out of the caller's bucket even when they are not in it: the caller has to wait until they would
// have been.
func (b *Buckets[K]) Charge(caller K, n int) {
	bucket, now := b.of(caller), b.now()
	bucket.ReserveN(now, min(n, b.burst))
}

func (b *Buckets[K]) of(caller K) *rate.Limiter {
	if bucket, ok := b.callers.Get(caller); ok {
		return bucket
	}
	fresh := rate.NewLimiter(b.rate, b.burst)
	if bucket, ok, _ := b.callers.PeekOrAdd(caller, fresh); ok {
		return bucket
	}
	return fresh
}

// Slots bounds how many requests are worked on at once. It is safe for concurrent use; make it with make.
type Slots chan struct{}

// Enter takes a slot and returns true, or false when none is free: a caller that waited in line would be served late, and
// everyone behind it later.
func (s Slots) Enter() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

// Leave gives the slot back.
func (s Slots) Leave() { <-s }
