package store

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"example.com/signet/keys"
)

// postgres is a PostgreSQL database.
type postgres struct {
	config  *pgx.ConnConfig
	cfg     Config
	locking chan struct{} // has room for whoever holds a lock or waits for one: each of them takes a connection
}

// Statements go by QueryExecModeExec, without being prepared: each is one round trip, the first time too, and a pooler that
// lends connections by transaction can pass them on.
const (
	connectTimeout = 15 * time.Second
	idleTime       = 5 * time.Minute
	lifeTime       = 30 * time.Minute // so that connections move to where the name points to now
	pingEvery      = 15 * time.Second // of the connection that listens
	channel        = "signet"
	lockAtMost     = "6min" // how long a lock is held by an issuer that is gone without a word; a migration may take five
)

func newPostgres(cfg Config) (*postgres, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("%w: it does not parse", ErrURL) // without the text, which may have a password
	}
	if !strings.HasPrefix(cfg.URL, u.Scheme+"://") { // pgx would pass over what is in it
		return nil, fmt.Errorf("%w: it begins with %s://", ErrURL, u.Scheme)
	}
	if _, err := url.ParseQuery(u.RawQuery); err != nil {
		return nil, fmt.Errorf("%w: its query does not parse", ErrURL)
	}
	if _, has := u.User.Password(); has || u.Query().Has("password") || u.Query().Has("sslpassword") {
		return nil, keys.WithHint(fmt.Errorf("%w: it has a password in it", ErrURL),
			"put it into a file and name that with --database-password-file; a client certificate's key needs none")
	}
	if err := checkTransport(u, cfg.Insecure); err != nil {
		return nil, err
	}
	config, err := pgx.ParseConfig(u.String())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrURL, err)
	}
	if !cfg.Insecure && !isProven(config) { // pgx reads some addresses in another way than net/url
		return nil, fmt.Errorf("%w: it lets a server in that does not prove which one it is", ErrURL)
	}
	if severalHosts(config) && config.ValidateConnect == nil { // a standby would answer with what was
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	if !u.Query().Has("default_query_exec_mode") {
		config.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	return &postgres{config, cfg, make(chan struct{}, 1)}, nil
}

// checkTransport lets only TLS that proves who the server is out of this machine. Where the address does not say, it
// makes it say so.
func checkTransport(u *url.URL, insecure bool) error {
	mode := u.Query().Get("sslmode")
	if insecure || mode == "verify-full" || staysHere(u) {
		return nil
	}
	if mode != "" {
		return keys.WithHint(
			fmt.Errorf("%w: sslmode=%.20s does not prove which server it is", ErrURL, mode),
			"leave sslmode out, or write verify-full (with sslrootcert=FILE for a CA of your own); --insecure-database accepts the risk")
	}
	// Behind what is there, and without spelling that anew: pgx takes a plus sign for one, and net/url for a blank.
	u.RawQuery = strings.TrimPrefix(u.RawQuery+"&sslmode=verify-full", "&")
	return nil
}

// staysHere reports whether every host is this machine: loopback, or a socket in a directory.
func staysHere(u *url.URL) bool {
	hosts := u.Hostname()
	if strings.Contains(u.Host, ",") { // several, each perhaps with its port
		hosts = u.Host
	}
	if query := u.Query(); query.Has("host") {
		hosts = strings.Join(query["host"], ",")
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if bare, _, err := net.SplitHostPort(host); err == nil {
			host = bare
		}
		if !isHere(host) {
			return false
		}
	}
	return true
}

func isHere(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || filepath.IsAbs(host) || (err == nil && ip.IsLoopback())
}

// isProven reports whether each connection that pgx would make stays here or proves who the server is.
func isProven(config *pgx.ConnConfig) bool {
	proven := func(host string, secured *tls.Config) bool {
		return isHere(host) || (secured != nil && !secured.InsecureSkipVerify)
	}
	return proven(config.Host, config.TLSConfig) && !slices.ContainsFunc(config.Fallbacks, func(to *pgconn.FallbackConfig) bool {
		return !proven(to.Host, to.TLSConfig)
	})
}

func severalHosts(config *pgx.ConnConfig) bool {
	return slices.ContainsFunc(config.Fallbacks, func(to *pgconn.FallbackConfig) bool {
		return to.Host != config.Host || to.Port != config.Port
	})
}

func (p *postgres) String() string {
	at := net.JoinHostPort(p.config.Host, fmt.Sprint(p.config.Port))
	return fmt.Sprintf("PostgreSQL database %q on %s", p.config.Database, at)
}

func (p *postgres) goose() string { return "postgres" }

func (p *postgres) open(ctx context.Context) (*sql.DB, error) {
	if err := p.readPassword(ctx, p.config.Copy()); err != nil { // to wait would not mend it
		return nil, err
	}
	connects := stdlib.GetConnector(*p.config, stdlib.OptionBeforeConnect(p.readPassword), stdlib.OptionResetSession(checkQuiet),
		stdlib.OptionShouldPing(func(context.Context, stdlib.ShouldPingParams) bool { return false })) // it would be a round trip
	db := sql.OpenDB(newConnector(connects, p.cfg.Connections))
	db.SetMaxOpenConns(p.cfg.Connections)
	db.SetMaxIdleConns(p.cfg.Connections)
	db.SetConnMaxIdleTime(idleTime)
	db.SetConnMaxLifetime(lifeTime)
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, connecting(err)
	}
	return db, nil
}

// connecting tells what time may mend from what a person has to.
func connecting(err error) error {
	var answer *pgconn.PgError
	if errors.As(err, &answer) && !mayPass(answer.Code) {
		return fmt.Errorf("connecting to the database: %w", oneLine{err})
	}
	return away("connecting to the database", err)
}

// mayPass reports whether an error of PostgreSQL's goes away by itself: too many connections, stopping, starting.
func mayPass(code string) bool {
	return code == "53300" || strings.HasPrefix(code, "57P") || strings.HasPrefix(code, "08")
}

const maxPasswordSize = 4096 // octets

// readPassword reads the password from its file, which may change while the issuer runs.
func (p *postgres) readPassword(_ context.Context, config *pgx.ConnConfig) error {
	if p.cfg.PasswordFile == "" {
		return nil
	}
	file, err := os.Open(p.cfg.PasswordFile)
	if err != nil {
		return fmt.Errorf("reading the database's password: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxPasswordSize))
	if err != nil {
		return fmt.Errorf("reading the database's password: %w", err)
	}
	config.Password = strings.TrimRight(string(text), "\r\n")
	return nil
}

func (p *postgres) prepare(context.Context, *sql.DB) error { return nil }

// lock holds a lock for as long as a transaction lasts, which a pooler that lends connections by transaction keeps too.
// What ends ctx ends the wait for the lock, and not the lock.
func (p *postgres) lock(ctx context.Context, db *sql.DB, name string) (unlock func(), err error) {
	select {
	case p.locking <- struct{}{}:
	case <-ctx.Done():
		return nil, away("locking the database", ctx.Err())
	}
	holding, release := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, release)
	tx, err := db.BeginTx(holding, nil)
	if err == nil {
		_, err = tx.ExecContext(holding, "SELECT set_config('idle_in_transaction_session_timeout', $1, true), "+
			"pg_advisory_xact_lock(hashtextextended($2, 0))", lockAtMost, channel+" "+name)
	}
	if !stop() {
		err = ctx.Err() // and not that of what it has ended
	}
	if err != nil {
		release()
		<-p.locking
		return nil, away("locking the database", err)
	}
	return func() {
		givenUp := time.AfterFunc(opTimeout, release) // a server that is gone does not answer
		_ = tx.Rollback()
		givenUp.Stop()
		release()
		<-p.locking
	}, nil
}

func (p *postgres) hasTable(ctx context.Context, db *sql.DB, name string) (has bool, err error) {
	err = db.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL", name).Scan(&has)
	return has, err
}

func (p *postgres) announce(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, "SELECT pg_notify($1, '')", channel)
	return err
}

// listen has a connection of its own. It asks now and then whether that still lives: a network that has gone away says
// nothing.
func (p *postgres) listen(ctx context.Context, heard func()) error {
	config := p.config.Copy()
	if err := p.readPassword(ctx, config); err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return connecting(err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // it may be gone already
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return away("listening", err)
	}
	heard() // for what was announced before
	for {
		if err := p.await(ctx, conn, heard); err != nil {
			return away("listening", err)
		}
	}
}

func (p *postgres) await(ctx context.Context, conn *pgx.Conn, heard func()) error {
	waiting, cancel := context.WithTimeout(ctx, pingEvery)
	defer cancel()
	_, err := conn.WaitForNotification(waiting)
	switch {
	case err == nil:
		heard()
		return nil
	case ctx.Err() != nil || waiting.Err() == nil:
		return err
	}
	ping, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	return conn.Ping(ping)
}
