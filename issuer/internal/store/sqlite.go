package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"example.com/signet/keys"
)

// sqliteFile is a SQLite database.
type sqliteFile struct {
	path   string
	memory bool // the file is not there and shall not be made: an empty database that is forgotten
	cfg    Config
}

// applicationID marks a SQLite file as ours: "Sgnt".
const applicationID = 0x53676e74

var markAsOurs = fmt.Sprintf("PRAGMA application_id = %d", applicationID)

func newSQLite(path string, cfg Config) (*sqliteFile, error) {
	if path == "" || path[0] == ':' || filepath.Clean(path) != path && "./"+filepath.Clean(path) != path {
		return nil, fmt.Errorf("%w: sqlite: needs the plain path of a file, like sqlite:/var/lib/signet/issuer.db", ErrURL)
	}
	return &sqliteFile{path: path, cfg: cfg}, nil
}

func (f *sqliteFile) String() string { return "SQLite in " + f.path }

func (f *sqliteFile) goose() string { return "sqlite3" }

func (f *sqliteFile) uri() string {
	if f.memory {
		return "file::memory:"
	}
	return "file:" + (&url.URL{Path: f.path}).EscapedPath()
}

// dsn has durable commits, one writer at a time from the first statement on, and little memory for each connection.
func (f *sqliteFile) dsn() string {
	return f.uri() + "?_txlock=immediate&_dqs=0&_defensive=1&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)" +
		"&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=trusted_schema(0)&_pragma=cache_size(-1024)"
}

func (f *sqliteFile) open(ctx context.Context) (*sql.DB, error) {
	if err := f.makeFile(); err != nil {
		return nil, err
	}
	if err := f.probe(ctx); err != nil {
		return nil, err
	}
	db, err := f.connect(f.dsn())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(f.cfg.Connections)
	db.SetMaxIdleConns(2)
	if f.memory { // each connection would have another
		db.SetMaxOpenConns(1)
	}
	if err := f.probeWriting(ctx, db); err != nil {
		_ = db.Close()
		return nil, err
	}
	return db, nil
}

func (f *sqliteFile) connect(dsn string) (*sql.DB, error) {
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrURL, err)
	}
	return sql.OpenDB(connector), nil
}

// makeFile makes an empty file that only we can read, or sees that it is one.
func (f *sqliteFile) makeFile() error {
	info, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !f.cfg.Migrate:
		f.memory = true
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return f.create()
	case err != nil:
		return fmt.Errorf("opening the database: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("opening the database %s: %w: not a regular file", f.path, ErrNotOurs)
	case info.Mode().Perm()&0o077 != 0:
		return keys.WithHint(
			fmt.Errorf("opening the database %s: others may read or write it: mode is %04o", f.path, info.Mode().Perm()),
			"chmod 600 "+f.path)
	}
	return nil
}

func (f *sqliteFile) create() error {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return f.notWritable(err)
	}
	file, err := os.OpenFile(f.path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist): // another process was faster
		return nil
	case err != nil:
		return f.notWritable(err)
	}
	return file.Close()
}

func (f *sqliteFile) notWritable(err error) error {
	return keys.WithHint(
		fmt.Errorf("making the database: %w", err),
		"--database names another place, like sqlite:/var/lib/signet/issuer.db; it must be writable")
}

// probe tells a file that is no database and one that is somebody else's, and leaves both as they are: the pragmas of dsn
// would change them.
func (f *sqliteFile) probe(ctx context.Context) error {
	if f.memory {
		return nil
	}
	err := f.isOurs(ctx, "ro")
	if codeOf(err) == sqlite3.SQLITE_READONLY { // what a killed process left has to be rolled back first, as by any reader
		err = f.isOurs(ctx, "rw")
	}
	return f.explain(err)
}

// codeOf is SQLite's primary result code of an error; 0: it is none of SQLite's.
func codeOf(err error) int {
	var code *sqlite.Error
	if errors.As(err, &code) {
		return code.Code() & 0xff
	}
	return 0
}

// explain says what an error of SQLite's means to a person.
func (f *sqliteFile) explain(err error) error {
	switch codeOf(err) {
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("opening the database %s: %w: not a SQLite file", f.path, ErrNotOurs)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return f.notWritable(fmt.Errorf("%s: %w", f.path, err))
	case sqlite3.SQLITE_BUSY:
		return away("opening the database "+f.path, err)
	}
	if err != nil {
		return fmt.Errorf("opening the database %s: %w", f.path, err)
	}
	return nil
}

// probeWriting begins to write, so that a file that cannot be written shows now. To begin alone would succeed there.
func (f *sqliteFile) probeWriting(ctx context.Context, db *sql.DB) error {
	if f.memory || !f.cfg.Migrate {
		return f.explain(db.PingContext(ctx))
	}
	tx, err := db.BeginTx(ctx, nil)
	if err == nil {
		_, err = tx.ExecContext(ctx, markAsOurs)
		_ = tx.Rollback()
	}
	if err != nil && codeOf(err) != sqlite3.SQLITE_BUSY {
		return f.notWritable(fmt.Errorf("%s: %w", f.path, err))
	}
	return f.explain(err)
}

// isOurs returns an [ErrNotOurs] for a database that has something in it and is not marked as ours.
func (f *sqliteFile) isOurs(ctx context.Context, mode string) error {
	db, err := f.connect(f.uri() + "?mode=" + mode + "&_pragma=busy_timeout(5000)&_pragma=trusted_schema(0)")
	if err != nil {
		return err
	}
	defer db.Close()
	var id, tables int // in this order: whoever makes the tables now has marked it before
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return err
	}
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return err
	}
	if id != applicationID && (id != 0 || tables > 0) {
		return fmt.Errorf("%w: it holds something else", ErrNotOurs)
	}
	return nil
}

func (f *sqliteFile) prepare(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, markAsOurs)
	return err
}

// lock locks the file's directory, which no lock of SQLite's is on. It ends with the process.
func (f *sqliteFile) lock(ctx context.Context, _ *sql.DB, _ string) (unlock func(), err error) {
	if f.memory {
		return func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(f.path))
	if err != nil {
		return nil, fmt.Errorf("locking the database: %w", err)
	}
	for {
		err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = dir.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = dir.Close()
			return nil, fmt.Errorf("locking the database: %w", err)
		}
		select {
		case <-ctx.Done():
			_ = dir.Close()
			return nil, fmt.Errorf("locking the database: %w", ctx.Err())
		case <-time.After(lockStep):
		}
	}
}

const lockStep = 20 * time.Millisecond

func (f *sqliteFile) hasTable(ctx context.Context, db *sql.DB, name string) (has bool, err error) {
	err = db.QueryRowContext(ctx, "SELECT count(*) > 0 FROM sqlite_schema WHERE name = $1", name).Scan(&has)
	return has, err
}

// announce does nothing: who shares a file finds changes by looking.
func (f *sqliteFile) announce(context.Context, *sql.Tx) error { return nil }

func (f *sqliteFile) listen(ctx context.Context, _ func()) error {
	<-ctx.Done()
	return ctx.Err()
}
