package store_test

import (
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"example.com/signet/issuer/internal/store"
	"example.com/signet/keys/keystest"
	"example.com/signet/keys/keystest/pgtest"
)

// TestMain makes the test binary play the child processes too.
func TestMain(m *testing.M) {
	if play, ok := children[os.Getenv(childVariable)]; ok {
		os.Exit(play())
	}
	// Many of these tests wait, for a database that they have stopped; the command line may say otherwise.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(pgtest.Main{M: m})
}

const actor = "tester"

// database is an empty database of a test's own, and a clock for the stores that are opened on it.
type database struct {
	t     *testing.T
	url   string
	clock *keystest.Clock
	conns *sql.DB // see hand
}

// onBoth runs a test on each of the databases, in parallel with all others.
func onBoth(t *testing.T, test func(*testing.T, *database)) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, newSQLite(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, newPostgres(t))
	})
}

func newSQLite(t *testing.T) *database {
	return &database{t: t, url: "sqlite:" + filepath.Join(t.TempDir(), "issuer.db"), clock: keystest.NewClock()}
}

func newPostgres(t *testing.T) *database { return newOn(t, pgtest.Shared(t)) }

func newOn(t *testing.T, server *pgtest.Server) *database {
	t.Helper()
	return &database{t: t, url: server.NewDatabase(t), clock: keystest.NewClock()}
}

func (db *database) isSQLite() bool { return !store.IsShared(db.url) }

// path is that of the file of SQLite.
func (db *database) path() string { return strings.TrimPrefix(db.url, "sqlite:") }

// config is what the tests open a store with, and what they change about it.
func (db *database) config(changes ...func(*store.Config)) store.Config {
	cfg := store.Config{
		URL: db.url, Connections: 3, Migrate: true, Actor: actor,
		Log: slog.New(slog.DiscardHandler), Now: db.clock.Now,
	}
	for _, change := range changes {
		change(&cfg)
	}
	return cfg
}

func unmigrated(cfg *store.Config) { cfg.Migrate = false }
func anyVersion(cfg *store.Config) { cfg.Migrate, cfg.AnyVersion = false, true }

// open opens a store until the test ends.
func (db *database) open(changes ...func(*store.Config)) *store.Store {
	db.t.Helper()
	s, err := store.Open(db.t.Context(), db.config(changes...))
	must(db.t, err)
	db.t.Cleanup(func() { _ = s.Close() })
	return s
}

// refused opens a store, which must not be, and returns why.
func (db *database) refused(changes ...func(*store.Config)) error {
	db.t.Helper()
	s, err := store.Open(db.t.Context(), db.config(changes...))
	if err == nil {
		_ = s.Close()
		db.t.Fatal("the database was opened")
	}
	return err
}

// hand is somebody who changes the database by hand, with a driver of his own.
func (db *database) hand() *sql.DB {
	db.t.Helper()
	if db.conns != nil {
		return db.conns
	}
	driver, dsn := "pgx", db.url
	if db.isSQLite() {
		driver, dsn = "sqlite", "file:"+db.path()+"?_pragma=busy_timeout(5000)&_txlock=immediate"
	}
	conns, err := sql.Open(driver, dsn)
	must(db.t, err)
	conns.SetMaxIdleConns(1)
	db.t.Cleanup(func() { _ = conns.Close() })
	db.conns = conns
	return conns
}

// exec changes the database by hand.
func (db *database) exec(query string, args ...any) {
	db.t.Helper()
	_, err := db.hand().ExecContext(db.t.Context(), query, args...)
	must(db.t, err)
}

// count returns the one number that a query finds.
func (db *database) count(query string, args ...any) (n int64) {
	db.t.Helper()
	must(db.t, db.hand().QueryRowContext(db.t.Context(), query, args...).Scan(&n))
	return n
}

// tables are all that a store keeps something in.
var tables = []string{
	"signet_revision", "signet_changes", "signet_resources", "signet_clients", "signet_grants", "signet_secret_uses",
	"signet_spent", "signet_keys", "signet_master_key",
}

// dump is every row of every table, to see that nothing or only this much has changed.
func (db *database) dump() map[string][]string {
	db.t.Helper()
	all := make(map[string][]string)
	for _, table := range tables {
		all[table] = dumpTable(db.t, db.hand(), table)
	}
	return all
}

func dumpTable(t *testing.T, hand *sql.DB, table string) (lines []string) {
	t.Helper()
	rows, err := hand.QueryContext(t.Context(), "SELECT * FROM "+table+" ORDER BY 1")
	must(t, err)
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	must(t, err)
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		must(t, rows.Scan(into...))
		lines = append(lines, fmt.Sprintf("%q", values))
	}
	must(t, rows.Err())
	return lines
}

// wantUnchanged sees that the database is as it was.
func (db *database) wantUnchanged(before map[string][]string) {
	db.t.Helper()
	if diff := cmp.Diff(before, db.dump()); diff != "" {
		db.t.Errorf("the database has changed, - before + after:\n%s", diff)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantErr sees that err is the sentinel, with these words in its text; nil is for no error.
func wantErr(t testing.TB, err, sentinel error, words ...string) {
	t.Helper()
	if !errors.Is(err, sentinel) {
		t.Errorf("error %v, want one that is %v", err, sentinel)
	}
	if err == nil {
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %v, want %q in it", err, word)
		}
	}
}

func hintOf(err error) string {
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return hinted.Hint()
	}
	return ""
}

// waitUntil is long, for a busy machine.
func waitUntil(t testing.TB, what string, done func() bool) {
	t.Helper()
	timeout := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-timeout:
			t.Fatalf("waiting in vain: %s", what)
		case <-tick.C:
		}
	}
}
