package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"example.com/signet/issuer/internal/store"
)

// turn is when an issuer may sweep again.
const turn = 10 * time.Second

func sweep(t testing.TB, s *store.Store) int64 {
	t.Helper()
	removed, err := store.Sweeper{Store: s}.Sweep(t.Context())
	if err != nil {
		t.Errorf("sweeping: %v", err)
	}
	return removed
}

func (db *database) spent() int64 { return db.count("SELECT count(*) FROM signet_spent") }

// spendMany spends n new ids at once.
func (db *database) spendMany(s *store.Store, prefix string, n int, until time.Time) {
	db.t.Helper()
	if got := firsts(n, func(i int) bool { return spend(db.t, s, "billing", fmt.Sprint(prefix, i), until) }); got != n {
		db.t.Fatalf("%d of %d were the first", got, n)
	}
}

func patient(cfg *store.Config) { cfg.Waiting = 10_000 }

// What has expired goes ten minutes later, all of it, and nothing that has not.
func TestSweep(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open(patient)
		until := db.clock.Now().Add(time.Minute)
		const n = 1300 // several batches
		db.spendMany(s, "a", n, until)
		wantSpend(t, s, "billing", "later", until.Add(time.Second), true)
		db.clock.Advance(11 * time.Minute)
		if removed := sweep(t, s); removed != 0 {
			t.Errorf("%d were removed too early", removed)
		}
		db.clock.Advance(turn)
		if removed := sweep(t, s); removed != n+1 {
			t.Errorf("%d of %d were removed", removed, n+1)
		}
		if left := db.spent(); left != 0 {
			t.Errorf("%d are left", left)
		}
	})
}

// The moment: one second before, it stays.
func TestSweepGrace(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		until := db.clock.Now().Add(time.Minute)
		for i := range 3 {
			wantSpend(t, s, "billing", fmt.Sprint(i), until.Add(time.Duration(i)*time.Second), true)
		}
		db.clock.Advance(11*time.Minute + time.Second)
		if removed := sweep(t, s); removed != 1 {
			t.Errorf("%d were removed", removed)
		}
		if left := db.spent(); left != 2 {
			t.Errorf("%d are left", left)
		}
	})
}

// Of several issuers that come at once one sweeps, and the next turn is another's when he comes first.
func TestSweepLease(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		var issuers []*store.Store
		for range 4 {
			issuers = append(issuers, db.open())
		}
		for round := range 3 {
			db.spendMany(issuers[0], fmt.Sprint(round, "-"), 20, db.clock.Now().Add(time.Second))
			db.clock.Advance(11 * time.Minute)
			var mu sync.Mutex
			var removed int64
			if n := firsts(len(issuers), func(i int) bool {
				n := sweep(t, issuers[i])
				mu.Lock()
				defer mu.Unlock()
				removed += n
				return n > 0
			}); n != 1 || removed != 20 {
				t.Errorf("round %d: %d swept, and removed %d of 20", round, n, removed)
			}
			db.exec("INSERT INTO signet_spent (id, expires_at) VALUES ($1, 0)", []byte("expired"))
			if n := sweep(t, issuers[round]); n != 0 {
				t.Errorf("round %d: it is nobody's turn, and %d were removed", round, n)
			}
			db.exec("DELETE FROM signet_spent")
		}
	})
}

// An issuer whose clock is far ahead does not keep the others from sweeping once it is set.
func TestSweepClock(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		ahead := db.open(func(cfg *store.Config) {
			cfg.Now = func() time.Time { return db.clock.Now().Add(100 * 24 * time.Hour) }
		})
		wantSpend(t, s, "billing", "a", db.clock.Now().Add(time.Second), true)
		db.clock.Advance(11 * time.Minute)
		sweep(t, ahead)
		wantSpend(t, s, "billing", "b", db.clock.Now().Add(time.Second), true)
		db.clock.Advance(11 * time.Minute)
		if removed := sweep(t, s); removed != 1 {
			t.Errorf("%d were removed", removed)
		}
	})
}

// The last use of a secret is kept for 400 days.
func TestSweepUses(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		uses := &store.Uses{Store: s}
		for i := range 700 {
			uses.Note(fmt.Sprint("old-", i), digestOf("a"), db.clock.Now())
		}
		uses.Note("new", digestOf("a"), db.clock.Now().Add(2*time.Second))
		must(t, uses.Flush(t.Context()))
		db.clock.Advance(400*24*time.Hour + time.Second)
		if removed := sweep(t, s); removed != 700 {
			t.Errorf("%d were removed", removed)
		}
		if left := db.count("SELECT count(*) FROM signet_secret_uses"); left != 1 {
			t.Errorf("%d are left", left)
		}
	})
}

// However many ids are spent, there are no more rows than those of the last minutes.
func TestSweepKeepsUp(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open(patient)
		most := int64(0)
		for round := range 40 {
			db.spendMany(s, fmt.Sprint(round, "-"), 50, db.clock.Now().Add(time.Minute))
			db.clock.Advance(time.Minute)
			sweep(t, s)
			most = max(most, db.spent())
		}
		if most > 13*50 {
			t.Errorf("at most %d rows for 50 a minute", most)
		}
	})
}

// An id that is used anew while its old row is swept stays spent.
func TestSweepRace(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		wantSpend(t, s, "billing", "a", db.clock.Now().Add(time.Minute), true)
		db.clock.Advance(12 * time.Minute)
		until := db.clock.Now().Add(time.Minute)
		tx, err := db.hand().BeginTx(t.Context(), nil)
		must(t, err)
		defer func() { _ = tx.Rollback() }()
		_, err = tx.ExecContext(t.Context(), "UPDATE signet_spent SET expires_at = $1", until.Unix()) // as Spend does
		must(t, err)
		swept := make(chan error, 1)
		go func() {
			_, err := store.Sweeper{Store: s}.Sweep(t.Context())
			swept <- err
		}()
		if !db.isSQLite() { // where the sweeper has seen the row as it was, and waits for it
			waitUntil(t, "the sweeper waits", func() bool { return db.count(waitingForRows) == 1 })
		}
		must(t, tx.Commit())
		must(t, <-swept)
		wantSpend(t, s, "billing", "a", until, false)
	})
}

const waitingForRows = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

// The same for the last use of a secret.
func TestSweepUsesRace(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		uses := &store.Uses{Store: s}
		uses.Note("billing", digestOf("a"), db.clock.Now())
		must(t, uses.Flush(t.Context()))
		db.clock.Advance(401 * 24 * time.Hour)
		tx, err := db.hand().BeginTx(t.Context(), nil)
		must(t, err)
		defer func() { _ = tx.Rollback() }()
		_, err = tx.ExecContext(t.Context(), "UPDATE signet_secret_uses SET used_at = $1", db.clock.Now().Unix())
		must(t, err)
		swept := make(chan error, 1)
		go func() {
			_, err := store.Sweeper{Store: s}.Sweep(t.Context())
			swept <- err
		}()
		if !db.isSQLite() {
			waitUntil(t, "the sweeper waits", func() bool { return db.count(waitingForRows) == 1 })
		}
		must(t, tx.Commit())
		must(t, <-swept)
		wantUses(t, s, "billing", map[string]time.Time{hexOf("a"): db.clock.Now()})
	})
}

// It sweeps by itself, and ends when it is to.
func TestSweepRun(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		wantSpend(t, s, "billing", "a", db.clock.Now().Add(time.Second), true)
		db.clock.Advance(11 * time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			store.Sweeper{Store: s}.Run(ctx)
		}()
		waitUntil(t, "it sweeps", func() bool { return db.spent() == 0 })
		cancel()
		<-ended
	})
}
