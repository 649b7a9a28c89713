package store

import (
	"context"
	"database/sql/driver"
	"net"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// connector connects for longer than the request that began it may wait. When it has given up, the connection is kept for
// the next one: behind a network so slow that no request could wait for a connection and an answer too, there would
// never be one.
type connector struct {
	driver.Connector
	spare      chan driver.Conn
	connecting chan struct{} // has room for as many as connect at once
}

func newConnector(c driver.Connector, most int) *connector {
	return &connector{c, make(chan driver.Conn, most), make(chan struct{}, most)}
}

type connected struct {
	conn driver.Conn
	err  error
}

// Connect implements [driver.Connector]. Of the time that a request has, half is left for the answer.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= opTimeout {
		half, cancel := context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
		return c.connect(half)
	}
	return c.connect(ctx)
}

func (c *connector) connect(ctx context.Context) (driver.Conn, error) {
	select {
	case conn := <-c.spare:
		return conn, nil
	default:
	}
	select {
	case conn := <-c.spare:
		return conn, nil
	case c.connecting <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	result := make(chan connected)
	go func() {
		defer func() { <-c.connecting }()
		patient, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
		defer cancel()
		conn, err := c.Connector.Connect(patient)
		select {
		case result <- connected{conn, err}:
		case <-ctx.Done():
			if err == nil {
				c.keep(conn)
			}
		}
	}()
	select {
	case r := <-result:
		return r.conn, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *connector) keep(conn driver.Conn) {
	select {
	case c.spare <- conn:
	default:
		_ = conn.Close()
	}
}

// Close closes what is spare. sql.DB calls it.
func (c *connector) Close() error {
	for {
		select {
		case conn := <-c.spare:
			_ = conn.Close()
		default:
			return nil
		}
	}
}

// checkQuiet finds a connection that the server has ended, without a round trip: nothing is to be read from one that is
// not in use but its end, or the reason for it.
func checkQuiet(_ context.Context, conn *pgx.Conn) error {
	socket := conn.PgConn().Conn()
	if secured, ok := socket.(interface{ NetConn() net.Conn }); ok {
		socket = secured.NetConn()
	}
	plain, ok := socket.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := plain.SyscallConn()
	if err != nil {
		return driver.ErrBadConn
	}
	quiet := false
	err = raw.Control(func(fd uintptr) { // not Read, which would wait for a read of pgx's that may be under way still
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
	})
	if err != nil || !quiet {
		return driver.ErrBadConn
	}
	return nil
}
