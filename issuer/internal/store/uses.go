package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"time"
)

// Uses remembers when secrets were last used, and writes that down now and then: a token costs no write. It is safe for
// concurrent use. The zero value with a Store is ready.
type Uses struct {
	Store *Store

	mu      sync.Mutex
	pending map[secretID]int64 // guarded by mu: Unix seconds
}

type secretID struct {
	client string
	digest [sha256.Size]byte
}

const (
	usesEvery   = 30 * time.Second
	usesAtOnce  = 500
	maxPending  = 100_000 // what is beyond is not remembered while the database is away
	usesKept    = 400 * 24 * time.Hour
	lastFlush   = 2 * time.Second // how long a stop waits for it
	usesColumns = 3
)

// Note remembers that the client's secret was used.
func (u *Uses) Note(clientID string, digest [sha256.Size]byte, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.pending == nil {
		u.pending = make(map[secretID]int64)
	}
	id := secretID{clientID, digest}
	if _, there := u.pending[id]; there || len(u.pending) < maxPending {
		u.pending[id] = max(u.pending[id], at.Unix())
	}
}

// Run writes down what there is every half minute until ctx ends, and then once more.
func (u *Uses) Run(ctx context.Context) {
	ticker := time.NewTicker(usesEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastFlush)
			defer cancel()
			_ = u.Flush(ctx)
			return
		case <-ticker.C:
			_ = u.Flush(ctx) // what cannot be written stays pending
		}
	}
}

// Flush writes down what is pending. What could not be written stays so; the error wraps [ErrAway].
func (u *Uses) Flush(ctx context.Context) error {
	u.mu.Lock()
	pending := u.pending
	u.pending = nil
	u.mu.Unlock()
	ids := make([]secretID, 0, len(pending))
	for id := range pending {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b secretID) int { // issuers that lock rows in one order wait, and never for one another
		if c := strings.Compare(a.client, b.client); c != 0 {
			return c
		}
		return bytes.Compare(a.digest[:], b.digest[:])
	})
	for batch := range slices.Chunk(ids, usesAtOnce) {
		if err := u.write(ctx, batch, pending); err != nil {
			for _, id := range ids {
				u.Note(id.client, id.digest, time.Unix(pending[id], 0))
			}
			return away("writing down uses of secrets", err)
		}
	}
	return nil
}

func (u *Uses) write(ctx context.Context, ids []secretID, at map[secretID]int64) error {
	ctx, cancel := context.WithTimeout(ctx, workTimeout)
	defer cancel()
	var args []any
	for _, id := range ids {
		args = append(args, id.client, id.digest[:], at[id])
	}
	_, err := u.Store.db.ExecContext(ctx, "INSERT INTO signet_secret_uses (client, secret, used_at) VALUES "+
		placeholders(len(ids), usesColumns)+" ON CONFLICT (client, secret) DO UPDATE SET used_at = excluded.used_at "+
		"WHERE signet_secret_uses.used_at < excluded.used_at", args...)
	return err
}

// LastUses returns when each secret of the client was last used, by the SHA-256 of the secret in hexadecimal, as far
// as that has been written down: every half minute.
func (s *Store) LastUses(ctx context.Context, clientID string) (map[string]time.Time, error) {
	uses := make(map[string]time.Time)
	err := s.rows(ctx, func(scan func(...any) error) error {
		var digest []byte
		var at int64
		if err := scan(&digest, &at); err != nil {
			return err
		}
		uses[hex.EncodeToString(digest)] = time.Unix(at, 0).UTC()
		return nil
	}, "SELECT secret, used_at FROM signet_secret_uses WHERE client = $1", clientID)
	return uses, away("reading the last uses", err)
}
