package oauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// ErrSpent means that an assertion id was used before.
var ErrSpent = errors.New("assertion id was used before")

// errFull means that no more assertion ids can be remembered; the next expiry makes room.
var errFull = errors.New("too many live assertion ids")

// Spent remembers assertion ids.
type Spent interface {
	// Spend records that the client used the id, until the given time. It returns [ErrSpent] when the client used it
	// before or that time has come, for then an earlier use may be forgotten; and another error when it cannot tell. It
	// is safe for concurrent use.
	Spend(ctx context.Context, clientID, id string, until time.Time) error
}

// MemorySpent remembers assertion ids in this process: it forgets them when the process ends. Make it with
// [NewMemorySpent].
type MemorySpent struct {
	now func() time.Time
	max int

	mu      sync.Mutex
	live    map[spentID]time.Time // guarded by mu
	sweepAt int                   // guarded by mu: how many live ids call for a sweep
	swept   time.Time             // guarded by mu: when it was last swept
}

var _ Spent = (*MemorySpent)(nil)

// spentID is a digest of client and id, so that the memory for each does not depend on what was sent.
type spentID [sha256.Size]byte

const (
	firstSweep = 1024
	sweepPause = time.Second // between sweeps of a full memory, which would otherwise cost each refusal one
)

// NewMemorySpent returns an empty memory for at most max live ids, about 100 octets each.
func NewMemorySpent(max int, now func() time.Time) *MemorySpent {
	return &MemorySpent{now: now, max: max, live: make(map[spentID]time.Time), sweepAt: firstSweep}
}

// Spend implements [Spent]. When max ids are live it refuses new ones: forgetting one early would let it be used again.
func (m *MemorySpent) Spend(_ context.Context, clientID, id string, until time.Time) error {
	// Client ids have no NUL, so no two pairs join to the same text.
	key := spentID(sha256.Sum256([]byte(clientID + "\x00" + id)))
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if expiry, seen := m.live[key]; !now.Before(until) || (seen && now.Before(expiry)) {
		return ErrSpent
	}
	isFull := len(m.live) >= m.max && now.Sub(m.swept) >= sweepPause
	if isFull || len(m.live) >= m.sweepAt {
		m.sweep(now)
	}
	if len(m.live) >= m.max {
		return errFull
	}
	m.live[key] = until
	return nil
}

// sweep forgets what has expired. The next sweep waits until the live ids have doubled, which makes its cost constant
// for each id.
func (m *MemorySpent) sweep(now time.Time) {
	for key, expiry := range m.live {
		if !now.Before(expiry) {
			delete(m.live, key)
		}
	}
	m.sweepAt = max(firstSweep, 2*len(m.live))
	m.swept = now
}
