package keystest

import (
	"sync"
	"time"
)

// Clock is a clock that stands still until the test moves it. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that shows 2026-11-23 10:15 UTC.
func NewClock() *Clock { return &Clock{now: time.Date(2026, 11, 23, 10, 15, 0, 0, time.UTC)} }

// Now returns what the clock shows; it fits wherever a field wants a func() time.Time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock by d, back when d is negative.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
