package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Config is what a [Store] needs. URL and Log are required.
type Config struct {
	// URL is sqlite:PATH, or postgres:// as libpq has it, without a password.
	URL string
	// PasswordFile holds PostgreSQL's password. It is read at each connection; "" for none.
	PasswordFile string
	// Connections are the most that are open at once; zero means 8, and less than 3 counts as 3.
	Connections int
	// Waiting is how many may wait for [Store.Spend] at once; zero means 96.
	Waiting int
	// Insecure lets PostgreSQL be spoken to over a network without TLS that proves who it is.
	Insecure bool
	// Migrate brings the schema up to date. Without it an older one is an [ErrOlder], and a SQLite file that is not there
	// reads as an empty database.
	Migrate bool
	// AnyVersion leaves the schema unseen. Only [Store.Migrations] is sure to work then.
	AnyVersion bool
	// Actor is who makes changes, as the audit trail names it; "" means [DefaultActor].
	Actor string

	Log *slog.Logger
	Now func() time.Time // nil: time.Now
}

// What can be wrong with a database. The last two are also causes of what fails later on.
var (
	ErrURL     = errors.New("not a database's address")
	ErrNotOurs = errors.New("not a database of Signet's")
	ErrNewer   = errors.New("the database is of a newer version of Signet")
	ErrOlder   = errors.New("the database is of an older version of Signet")
	ErrAway    = errors.New("the database does not answer")
	ErrBusy    = errors.New("too many wait for the database")
)

// Store is the database. It is safe for concurrent use. Make it with [Open].
type Store struct {
	cfg Config
	db  *sql.DB
	dialect
	spender spender
}

// dialect is what the two databases do not share.
type dialect interface {
	open(context.Context) (*sql.DB, error)
	// prepare is called under the migration lock, before the schema is made or brought up to date.
	prepare(context.Context, *sql.DB) error
	// lock waits until nobody else holds the lock of that name.
	lock(ctx context.Context, db *sql.DB, name string) (unlock func(), err error)
	hasTable(ctx context.Context, db *sql.DB, name string) (bool, error)
	// announce tells other issuers, in the transaction, that something has changed.
	announce(context.Context, *sql.Tx) error
	// listen calls heard for each announcement until ctx ends or the connection does.
	listen(ctx context.Context, heard func()) error
	goose() string
	String() string
}

const (
	defaultConnections = 8
	defaultWaiting     = 96
	leastConnections   = 3 // a lock holds one, what is done under it another

	// opTimeout bounds what a request waits for. It is longer than a database that is merely slow takes for one answer.
	opTimeout = 3 * time.Second
	// workTimeout bounds what no request waits for, a few answers each.
	workTimeout = 10 * time.Second
	// changeTimeout bounds what an operator waits for: a large registry takes a while.
	changeTimeout = 2 * time.Minute
)

// Open connects to the database and sees that it is one of ours, of this version. The error wraps [ErrURL], [ErrNotOurs],
// [ErrNewer], [ErrOlder] or [ErrAway], or says what else is wrong with it.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg.Connections = max(cmp.Or(cfg.Connections, defaultConnections), leastConnections)
	if cfg.Actor == "" {
		cfg.Actor = DefaultActor()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	d, err := dialectOf(cfg)
	if err != nil {
		return nil, err
	}
	db, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, db: db, dialect: d}
	s.spender.write, s.spender.most = s.writeSpent, cmp.Or(cfg.Waiting, defaultWaiting)
	if err := s.checkSchema(ctx); err != nil {
		_ = db.Close()
		return nil, err
	}
	return s, nil
}

// CheckURL reports whether url names a database as [Config] wants it, without connecting.
func CheckURL(cfg Config) error {
	_, err := dialectOf(cfg)
	return err
}

func dialectOf(cfg Config) (dialect, error) {
	scheme, rest, _ := strings.Cut(cfg.URL, ":")
	switch scheme {
	case "sqlite":
		return newSQLite(rest, cfg)
	case "postgres", "postgresql":
		return newPostgres(cfg)
	}
	return nil, fmt.Errorf("%w: it begins with sqlite: or postgres://", ErrURL)
}

// IsShared reports whether url is of a database that several machines can share.
func IsShared(url string) bool { return !strings.HasPrefix(url, "sqlite:") }

// Close ends all connections.
func (s *Store) Close() error { return s.db.Close() }

// Check reports whether the database answers.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	return away("asking the database", s.db.QueryRowContext(ctx, "SELECT n FROM signet_revision").Scan(new(int64)))
}

// away makes what a database answered an [ErrAway].
func away(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w: %w", what, ErrAway, oneLine{err})
}

// oneLine is an error told in one line: the drivers break theirs.
type oneLine struct{ error }

func (e oneLine) Error() string { return strings.Join(strings.Fields(e.error.Error()), " ") }
func (e oneLine) Unwrap() error { return e.error }

// rows calls each for every row that the query finds, with what scans it.
func (s *Store) rows(ctx context.Context, each func(scan func(...any) error) error, query string, args ...any) error {
	return eachRow(ctx, s.db, each, query, args...)
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func eachRow(ctx context.Context, db querier, each func(scan func(...any) error) error, query string, args ...any) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// placeholders returns ($1,$2),($3,$4) for two rows of two columns.
func placeholders(rows, columns int) string {
	var text strings.Builder
	for i := range rows * columns {
		switch {
		case i%columns > 0:
			text.WriteByte(',')
		case i > 0:
			text.WriteString("),(")
		default:
			text.WriteByte('(')
		}
		fmt.Fprintf(&text, "$%d", i+1)
	}
	text.WriteByte(')')
	return text.String()
}
