package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"example.com/signet/issuer/internal/store"
)

// hold keeps everybody else from writing what is spent, until free is called.
func (db *database) hold() (free func()) {
	db.t.Helper()
	tx, err := db.hand().BeginTx(db.t.Context(), nil)
	must(db.t, err)
	if db.isSQLite() { // it is held by the transaction already
		return func() { _ = tx.Rollback() }
	}
	_, err = tx.ExecContext(db.t.Context(), "LOCK TABLE signet_spent IN ACCESS EXCLUSIVE MODE")
	must(db.t, err)
	return func() { _ = tx.Rollback() }
}

// Those who are too many are told at once; those who wait get their answer when the database goes on.
func TestSpendBusy(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		const waiting, all = 4, 20
		s := db.open(func(cfg *store.Config) { cfg.Waiting = waiting })
		until := db.clock.Now().Add(time.Minute)
		free := db.hold()
		defer free()
		type answer struct {
			first bool
			err   error
		}
		answers := make(chan answer, all)
		for i := range all {
			go func() {
				first, err := s.Spend(t.Context(), "billing", fmt.Sprint(i), until)
				answers <- answer{first, err}
			}()
		}
		for range all - 2*waiting { // a batch is on its way, and another waits
			if a := <-answers; a.first || !errors.Is(a.err, store.ErrBusy) || errors.Is(a.err, store.ErrAway) {
				t.Errorf("one too many: %v, %v", a.first, a.err)
			}
		}
		free()
		for range 2 * waiting {
			if a := <-answers; a.first == (a.err != nil) || (a.err != nil && !errors.Is(a.err, store.ErrBusy)) {
				t.Errorf("one who waits: %v, %v", a.first, a.err)
			}
		}
		wantSpend(t, s, "billing", "new", until, true)
	})
}

// Who does not wait any more is told so at once, and does not hold up the others.
func TestSpendCancelled(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		until := db.clock.Now().Add(time.Minute)
		free := db.hold()
		defer free()
		ctx, cancel := context.WithCancel(t.Context())
		type answer struct {
			first bool
			err   error
		}
		gone, stays := make(chan answer, 1), make(chan answer, 1)
		ask := func(ctx context.Context, id string, to chan<- answer) {
			first, err := s.Spend(ctx, "billing", id, until)
			to <- answer{first, err}
		}
		go ask(ctx, "gone", gone)
		go ask(t.Context(), "stays", stays)
		cancel()
		if a := <-gone; a.first || !errors.Is(a.err, context.Canceled) {
			t.Errorf("one who is gone: %v, %v", a.first, a.err)
		}
		free()
		if a := <-stays; !a.first || a.err != nil {
			t.Errorf("one who stays: %v, %v", a.first, a.err)
		}
		first, err := s.Spend(ctx, "billing", "other", until)
		if first || !errors.Is(err, context.Canceled) {
			t.Errorf("with a context that has ended: %v, %v", first, err)
		}
	})
}

// A database that keeps everybody waiting for too long is away, and no answer is lost when it comes back.
func TestSpendHeldUp(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		until := db.clock.Now().Add(time.Minute)
		free := db.hold()
		defer free()
		first, err := s.Spend(t.Context(), "billing", "a", until)
		if first {
			t.Error("it was the first, and is not written")
		}
		wantErr(t, err, store.ErrAway)
		free()
		wantSpend(t, s, "billing", "b", until, true)
		wantSpend(t, s, "billing", "b", until, false)
		spend(t, s, "billing", "a", until) // it may have been recorded, or not
		wantSpend(t, s, "billing", "a", until, false)
	})
}
