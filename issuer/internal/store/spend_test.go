package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.com/signet/issuer/internal/store"
)

// spend spends an id and fails the test when that cannot be told.
func spend(t testing.TB, s *store.Store, client, id string, until time.Time) bool {
	t.Helper()
	first, err := s.Spend(t.Context(), client, id, until)
	if err != nil {
		t.Errorf("spending: %v", err)
	}
	return first
}

func wantSpend(t testing.TB, s *store.Store, client, id string, until time.Time, want bool) {
	t.Helper()
	if got := spend(t, s, client, id, until); got != want {
		t.Errorf("%s %s: first is %v", client, id, got)
	}
}

// An id works once, for each client its own, for whichever store, and after a restart.
func TestSpend(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		one, two := db.open(), db.open()
		until := db.clock.Now().Add(time.Minute)
		wantSpend(t, one, "billing", "a", until, true)
		wantSpend(t, one, "billing", "a", until, false)
		wantSpend(t, two, "billing", "a", until, false)
		wantSpend(t, two, "shop", "a", until, true)
		wantSpend(t, one, "shop", "a", until.Add(time.Hour), false)
		wantSpend(t, one, "billin", "ga", until, true) // the two are not run together
		wantSpend(t, one, "billing", "A", until, true)
		wantSpend(t, one, "billing", "a ", until, true)
		wantSpend(t, one, "billing", "\xff\x00'", until, true)
		wantSpend(t, one, "billing", "", until, true)
		must(t, one.Close())
		must(t, two.Close())
		wantSpend(t, db.open(), "billing", "a", until, false)
	})
}

// Nobody is the first when the time has come, for an earlier use may be forgotten; and nothing is written.
func TestSpendExpired(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s, was := db.open(), db.dump()
		now := db.clock.Now()
		for _, until := range []time.Time{now, now.Add(-1), now.Add(-time.Hour), {}} {
			wantSpend(t, s, "billing", "a", until, false)
		}
		db.wantUnchanged(was)
		wantSpend(t, s, "billing", "a", now.Add(1), true)
	})
}

// An id is free again when its time has passed, and not a moment before.
func TestSpendAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		until := db.clock.Now().Add(time.Minute)
		wantSpend(t, s, "billing", "a", until, true)
		db.clock.Advance(time.Minute - 1)
		wantSpend(t, s, "billing", "a", until, false)
		wantSpend(t, s, "billing", "a", until.Add(time.Hour), false)
		db.clock.Advance(time.Second)
		wantSpend(t, s, "billing", "a", until, false)
		wantSpend(t, s, "billing", "a", until.Add(time.Hour), true)
		wantSpend(t, s, "billing", "a", until.Add(2*time.Hour), false)
		db.clock.Advance(time.Hour - 2*time.Second)
		wantSpend(t, s, "billing", "a", until.Add(2*time.Hour), false)
	})
}

// Whatever the fractions of a second are, no id is accepted again while it may be, and each is when it is new.
func TestSpendFractions(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		n := 0
		rapid.Check(t, func(r *rapid.T) {
			n++
			id := fmt.Sprint("id-", n)
			var busyUntil time.Time
			for range rapid.IntRange(1, 6).Draw(r, "uses") {
				db.clock.Advance(time.Duration(rapid.Int64Range(0, 3e9).Draw(r, "pause")))
				now := db.clock.Now()
				until := now.Add(time.Duration(rapid.Int64Range(-1e9, 5e9).Draw(r, "lifetime")))
				first, err := s.Spend(t.Context(), "billing", id, until)
				switch {
				case err != nil:
					r.Fatalf("spending: %v", err)
				case first && !now.Before(until):
					r.Fatalf("accepted at %v until %v", now, until)
				case first && now.Before(busyUntil):
					r.Fatalf("accepted at %v again, and it was good until %v", now, busyUntil)
				case !first && now.Before(until) && !now.Before(busyUntil.Add(time.Second)):
					r.Fatalf("refused at %v, and it was good until %v", now, busyUntil)
				case first:
					busyUntil = until
				}
			}
		})
	})
}

// Of all who use an id at once, on several stores, exactly one is the first.
func TestSpendRace(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		stores := []*store.Store{db.open(), db.open(), db.open()}
		until := db.clock.Now().Add(time.Minute)
		for round := range 5 {
			if n := firsts(64, func(i int) bool {
				return spend(t, stores[i%len(stores)], "billing", fmt.Sprint(round), until)
			}); n != 1 {
				t.Errorf("round %d: %d were the first", round, n)
			}
		}
	})
}

// firsts counts for how many of n at once it is true.
func firsts(n int, do func(i int) bool) (first int) {
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			if do(i) {
				mu.Lock()
				first++
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return first
}

// Ids that go in one batch do not disturb one another: each is the first, once.
func TestSpendBatches(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open(func(cfg *store.Config) { cfg.Waiting = 2000 })
		until := db.clock.Now().Add(time.Minute)
		const n = 600 // several batches
		if got := firsts(n, func(i int) bool { return spend(t, s, "billing", fmt.Sprint(i), until) }); got != n {
			t.Errorf("%d of %d were the first", got, n)
		}
		if got := firsts(n, func(i int) bool { return spend(t, s, "billing", fmt.Sprint(i), until) }); got != 0 {
			t.Errorf("%d were the first again", got)
		}
		mixed := func(i int) bool { return spend(t, s, "billing", fmt.Sprint(n/2+i/2), until) } // each twice, half of them new
		if got := firsts(2*n, mixed); got != n/2 {
			t.Errorf("%d of %d were the first", got, n/2)
		}
		if rows := db.count("SELECT count(*) FROM signet_spent"); rows != n+n/2 {
			t.Errorf("%d rows", rows)
		}
	})
}
