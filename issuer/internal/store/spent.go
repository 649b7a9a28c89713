package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Spend records that a client used an assertion id, until the given time, and reports whether it was the first to do so.
// With that time past, nobody is: an earlier use may be forgotten. With an [ErrBusy] the id has not been recorded; with an
// [ErrAway], or the error of ctx, it may have been. It takes one round trip to the database, which it shares with those
// who come meanwhile.
func (s *Store) Spend(ctx context.Context, clientID, id string, until time.Time) (first bool, err error) {
	now := s.cfg.Now()
	if !now.Before(until) {
		return false, nil
	}
	// Client ids have no NUL, so no two pairs join to the same text.
	whole := until.Add(time.Second - 1).Unix() // no earlier than until
	return s.spender.spend(ctx, &spending{
		id: sha256.Sum256([]byte(clientID + "\x00" + id)), until: whole, asked: now.Unix(), done: make(chan struct{}),
	})
}

// spentID is a digest of client and id, so that a row does not depend on what was sent.
type spentID [sha256.Size]byte

// spender writes ids in batches: what comes while one is on its way goes with the next. Nobody waits for company.
type spender struct {
	write func(context.Context, []*spending) error

	most int // how many may wait, those that are being written among them

	mu      sync.Mutex
	waiting []*spending // guarded by mu
	writing int         // guarded by mu: how many of them are on their way
	busy    bool        // guarded by mu: somebody writes
}

// spending is one id on its way. First and err are set before done is closed.
type spending struct {
	id    spentID
	until int64
	asked int64 // when it was found not to have expired

	done  chan struct{}
	first bool
	err   error
}

// maxBatch is how many ids go with one statement.
const maxBatch = 128

func (s *spender) spend(ctx context.Context, one *spending) (bool, error) {
	s.mu.Lock()
	if len(s.waiting)+s.writing >= s.most {
		s.mu.Unlock()
		return false, ErrBusy
	}
	s.waiting = append(s.waiting, one)
	if !s.busy {
		s.busy = true
		go s.run()
	}
	s.mu.Unlock()
	select {
	case <-one.done:
		return one.first, one.err
	case <-ctx.Done():
		return false, fmt.Errorf("recording an assertion id: %w", ctx.Err())
	}
}

// run writes until nobody waits.
func (s *spender) run() {
	for batch := s.next(); batch != nil; batch = s.next() {
		ctx, cancel := context.WithTimeout(context.Background(), opTimeout)
		err := s.write(ctx, batch)
		cancel()
		for _, one := range batch {
			one.err = err
			close(one.done)
		}
	}
}

// next returns the next batch, in which no id comes twice, or nil when nobody waits. An id that is in it already has
// been used.
func (s *spender) next() []*spending {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.waiting) > 0 {
		batch := s.waiting[:min(maxBatch, len(s.waiting))]
		s.waiting = s.waiting[len(batch):]
		seen := make(map[spentID]bool, len(batch))
		unique := batch[:0:0]
		for _, one := range batch {
			if seen[one.id] {
				close(one.done)
				continue
			}
			seen[one.id] = true
			unique = append(unique, one)
		}
		s.writing = len(unique)
		return unique
	}
	s.waiting, s.writing, s.busy = nil, 0, false
	return nil
}

// writeSpent records a batch. A row whose time had passed when all of them were asked for is as good as none; by the clock of
// now it might be that of an assertion that has expired since.
func (s *Store) writeSpent(ctx context.Context, batch []*spending) error {
	slices.SortFunc(batch, func(a, b *spending) int { // issuers that lock rows in one order wait, and never for one another
		return bytes.Compare(a.id[:], b.id[:])
	})
	byID := make(map[spentID]*spending, len(batch))
	args := make([]any, 0, 2*len(batch)+1)
	asked := batch[0].asked
	for _, one := range batch {
		byID[one.id] = one
		args = append(args, one.id[:], one.until)
		asked = min(asked, one.asked)
	}
	args = append(args, asked)
	err := s.rows(ctx, func(scan func(...any) error) error {
		var raw []byte
		if err := scan(&raw); err != nil {
			return err
		}
		if one := byID[spentID(raw)]; one != nil {
			one.first = true
		}
		return nil
	}, "INSERT INTO signet_spent (id, expires_at) VALUES "+placeholders(len(batch), 2)+
		" ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at "+
		fmt.Sprintf("WHERE signet_spent.expires_at <= $%d RETURNING id", len(args)), args...)
	if err != nil { // what has been reported before it is not committed
		for _, one := range batch {
			one.first = false
		}
	}
	return away("recording an assertion id", err)
}
