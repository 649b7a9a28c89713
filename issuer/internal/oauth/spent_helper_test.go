package oauth_test

import (
	"context"
	"sync"
	"time"

	"example.com/signet/issuer/internal/oauth"
)

// memorySpent remembers assertion ids in a test. It is safe for concurrent use.
type memorySpent struct {
	now func() time.Time

	mu   sync.Mutex
	live map[[2]string]time.Time // guarded by mu: until when, by client and id
}

var _ oauth.Spent = (*memorySpent)(nil)

func newSpent(now func() time.Time) *memorySpent {
	return &memorySpent{now: now, live: make(map[[2]string]time.Time)}
}

// Spend implements [oauth.Spent].
func (m *memorySpent) Spend(_ context.Context, clientID, id string, until time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key, now := [2]string{clientID, id}, m.now()
	if !now.Before(until) || now.Before(m.live[key]) {
		return false, nil
	}
	m.live[key] = until
	return true, nil
}

// spentFunc is a memory of assertion ids that a test makes answer.
type spentFunc func(clientID, id string, until time.Time) (bool, error)

func (s spentFunc) Spend(_ context.Context, clientID, id string, until time.Time) (bool, error) {
	return s(clientID, id, until)
}
