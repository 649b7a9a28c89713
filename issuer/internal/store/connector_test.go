package store_test

import (
	"context"
	"database/sql/driver"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/signet/issuer/internal/store"
)

// lateConn is a connection whose writes come back late, as on a machine that is busy: the answer is there before.
type lateConn struct{ *net.TCPConn }

func (c lateConn) Write(data []byte) (int, error) {
	n, err := c.TCPConn.Write(data)
	<-time.After(50 * time.Millisecond) // the driver takes 15 ms for slow, and reads meanwhile
	return n, err
}

// connect connects to the database with the driver alone.
func (db *database) connect(late bool) *pgx.Conn {
	db.t.Helper()
	config, err := pgx.ParseConfig(db.url)
	must(db.t, err)
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	if late {
		config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return lateConn{conn.(*net.TCPConn)}, nil
		}
	}
	conn, err := pgx.ConnectConfig(db.t.Context(), config)
	must(db.t, err)
	db.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// A connection that the server has ended is found without a round trip, and none keeps the question waiting: not one
// either that the driver still reads from.
func TestCheckQuiet(t *testing.T) {
	t.Parallel()
	db := newPostgres(t)
	for name, late := range map[string]bool{"on time": false, "late": true} {
		t.Run(name, func(t *testing.T) {
			conn := db.connect(late)
			var pid uint32
			for range 3 {
				must(t, conn.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid))
				if err := checkQuiet(t, conn); err != nil {
					t.Errorf("one that is good: %v", err)
				}
			}
			db.exec("SELECT pg_terminate_backend($1)", pid)
			waitUntil(t, "its end is seen", func() bool { return checkQuiet(t, conn) == driver.ErrBadConn })
		})
	}
}

// checkQuiet asks and does not wait for long.
func checkQuiet(t *testing.T, conn *pgx.Conn) error {
	t.Helper()
	answer := make(chan error, 1)
	go func() { answer <- store.CheckQuiet(t.Context(), conn) }()
	select {
	case err := <-answer:
		return err
	case <-time.After(5 * time.Second):
		_ = conn.PgConn().Conn().Close() // which ends the wait
		<-answer
		t.Fatal("the question waits for the server")
		return nil
	}
}

// Requests that give up on a server that hangs leave no more connections behind than a store may have.
func TestConnectionsBounded(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	accepted := make(chan net.Conn, 1000)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- conn
		}
	}()
	db := newPostgres(t)
	p := newProxy(t, db)
	s := db.open()
	p.redirect(listener.Addr().String()) // where nobody answers
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := s.Touched(ctx, 0)
		wantErr(t, err, store.ErrAway)
		cancel()
	}
	n := len(accepted)
	_ = listener.Close()
	for conn := range accepted {
		_ = conn.Close()
	}
	if most := 2 * 3; n > most { // those in use, and those on their way
		t.Errorf("%d connections at once, of a store that may have 3", n)
	}
}
