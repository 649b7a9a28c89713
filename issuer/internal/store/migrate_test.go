package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/signet/issuer/internal/store"
)

// latest is the version of the schema that this program knows.
func latest(t *testing.T) int64 {
	t.Helper()
	all, err := newSQLite(t).open().Migrations(t.Context())
	must(t, err)
	return all[len(all)-1].Version
}

// Before a migration each step is without a time, afterwards with one, and looking makes nothing.
func TestMigrations(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		before, err := db.open(anyVersion).Migrations(t.Context())
		must(t, err)
		if len(before) == 0 || slices.ContainsFunc(before, func(m store.Migration) bool { return !m.AppliedAt.IsZero() }) {
			t.Errorf("before: %v", before)
		}
		began := time.Now().Add(-2 * time.Second) // databases keep whole seconds
		s := db.open()
		for _, s := range []*store.Store{s, db.open(unmigrated), db.open(anyVersion)} {
			after, err := s.Migrations(t.Context())
			must(t, err)
			if len(after) != len(before) {
				t.Fatalf("after: %v, before: %v", after, before)
			}
			for i, m := range after {
				applied := m.AppliedAt.After(began) && m.AppliedAt.Before(time.Now().Add(2*time.Second))
				if m.Version != before[i].Version || m.Name != before[i].Name || !applied {
					t.Errorf("step %d is %v, and was %v", i, m, before[i])
				}
			}
		}
		must(t, s.Check(t.Context()))
	})
}

// Schemas only go forward: no migration says how to undo it, and their versions rise.
func TestForwardOnly(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("migrations/*")
	must(t, err)
	for i, file := range files {
		text := readFile(t, file)
		if !strings.Contains(text, "-- +goose Up") || strings.Contains(strings.ToLower(text), "goose down") {
			t.Errorf("%s goes back", file)
		}
		if strings.Contains(strings.ToUpper(text), "NO TRANSACTION") {
			t.Errorf("%s can be left half done", file)
		}
		if i > 0 && file[:len("migrations/00001")] <= files[i-1][:len("migrations/00001")] {
			t.Errorf("%s comes after %s", file, files[i-1])
		}
	}
}

// A database of a newer version is left alone by all but those who only look which it is.
func TestNewer(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		db.seed(db.open())
		now := "CURRENT_TIMESTAMP"
		db.exec("INSERT INTO signet_migrations (version_id, is_applied, tstamp) VALUES ($1, $2, "+now+")", latest(t)+1, true)
		was := db.dump()
		for name, change := range map[string]func(*store.Config){"migrating": func(*store.Config) {}, "not migrating": unmigrated} {
			err := db.refused(change)
			wantErr(t, err, store.ErrNewer)
			if errors.Is(err, store.ErrAway) || !strings.Contains(hintOf(err), "schemas only go forward") {
				t.Errorf("%s: %v, hint %q", name, err, hintOf(err))
			}
		}
		if all, err := db.open(anyVersion).Migrations(t.Context()); err != nil || all[len(all)-1].AppliedAt.IsZero() {
			t.Errorf("%v, %v", all, err)
		}
		db.wantUnchanged(was)
	})
}

// A database of an older version, or an empty one, is brought up to date by whoever has leave, and nobody else.
func TestOlder(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		if db.isSQLite() {
			must(t, os.WriteFile(db.path(), nil, 0o600))
		}
		err := db.refused(unmigrated)
		wantErr(t, err, store.ErrOlder, "is version 0")
		if !strings.Contains(hintOf(err), "issuer migrate up") {
			t.Errorf("hint %q", hintOf(err))
		}
		if _, err := db.hand().ExecContext(t.Context(), "SELECT * FROM signet_migrations"); err == nil {
			t.Error("looking has made a table")
		}
		db.seed(db.open())
		wantClients(t, db.open(unmigrated), "billing")
	})
}

// wantComplete sees that each step was applied once, and that all is there to be used.
func (db *database) wantComplete() {
	db.t.Helper()
	s, version := db.open(), latest(db.t)
	if n := db.count("SELECT count(*) FROM signet_migrations WHERE version_id > 0"); n != version {
		db.t.Errorf("%d of %d steps are noted", n, version)
	}
	if n := db.count("SELECT count(*) FROM signet_revision"); n != 1 {
		db.t.Errorf("%d rows in signet_revision", n)
	}
	db.seed(s)
	wantClients(db.t, db.open(unmigrated), "billing")
}

// Of several that open an empty database at once, one migrates.
func TestMigrateOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		const n = 8
		opened := make(chan error, n)
		for range n {
			go func() {
				s, err := store.Open(t.Context(), db.config())
				if err == nil {
					err = errors.Join(s.Check(t.Context()), s.Close())
				}
				opened <- err
			}()
		}
		for range n {
			if err := <-opened; err != nil {
				t.Errorf("opening: %v", err)
			}
		}
		db.wantComplete()
	})
}

// The same for processes.
func TestMigrateOnceProcesses(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		var all []*child
		for range 4 {
			all = append(all, startChild(t, "migrate", db.url, nil))
		}
		for _, child := range all {
			if said, status := child.end(); status != 0 {
				t.Errorf("a process ends with %d: %s", status, said)
			}
		}
		db.wantComplete()
	})
}

// Whoever waits for another who migrates stops when he is to.
func TestMigrateWaits(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		free := db.holdMigration()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := store.Open(ctx, db.config())
		wantErr(t, err, context.DeadlineExceeded)
		opened := make(chan error, 1)
		go func() {
			s, err := store.Open(t.Context(), db.config())
			if err == nil {
				_ = s.Close()
			}
			opened <- err
		}()
		free()
		must(t, <-opened)
		db.wantComplete()
	})
}

// holdMigration keeps everybody from migrating, as one who is at it.
func (db *database) holdMigration() (free func()) {
	db.t.Helper()
	if db.isSQLite() {
		dir, err := os.Open(filepath.Dir(db.path()))
		must(db.t, err)
		must(db.t, syscall.Flock(int(dir.Fd()), syscall.LOCK_EX))
		return func() { _ = dir.Close() }
	}
	tx, err := db.hand().BeginTx(db.t.Context(), nil)
	must(db.t, err)
	_, err = tx.ExecContext(db.t.Context(), "SELECT pg_advisory_xact_lock(hashtextextended('signet migrate', 0))")
	must(db.t, err)
	return func() { _ = tx.Rollback() }
}

// A process that is killed in the middle of a migration leaves nothing of it.
func TestMigrateKilledHalfWay(t *testing.T) {
	t.Parallel()
	db := newPostgres(t)
	tx, err := db.hand().BeginTx(t.Context(), nil)
	must(t, err)
	_, err = tx.ExecContext(t.Context(), "CREATE TABLE signet_keys (kid TEXT)") // the migration waits for this name
	must(t, err)
	child := startChild(t, "migrate", db.url, nil)
	waitUntil(t, "it is half way", func() bool { return db.count(waitingForRows) == 1 })
	other := startChild(t, "migrate", db.url, nil) // who waits for the first
	waitUntil(t, "another waits", func() bool { return db.count(waitingForRows) == 2 })
	if said := child.kill(); said != "" {
		t.Fatalf("the migration was not half way: %s", said)
	}
	must(t, tx.Rollback())
	if said, status := other.end(); status != 0 {
		t.Errorf("the other ends with %d: %s", status, said)
	}
	db.wantComplete()
}

// Whenever a process that opens the database is killed, the next one opens it.
func TestMigrateKilledAnywhere(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		for step := range 9 {
			db := db
			if step > 0 {
				db = db.another()
			}
			child := startChild(t, "migrate", db.url, nil)
			<-time.After(time.Duration(step) * 3 * time.Millisecond) // not to wait for anything: to kill at many moments
			child.kill()
			db.wantComplete()
		}
	})
}

// another is another database of the same kind.
func (db *database) another() *database {
	if db.isSQLite() {
		return newSQLite(db.t)
	}
	return newPostgres(db.t)
}
