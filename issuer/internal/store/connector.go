package store

import (
	"context"
	"database/sql/driver"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// connector connects for longer than the request that began it may wait. When it has given up, the connection is kept for
// the next one: behind a network so slow that no request could wait for a connection and an answer too, there would
// never be one.
type connector struct {
	driver.Connector
	spare      chan driver.Conn
	connecting chan struct{} // has room for as many as connect at once

	mu     sync.Mutex
	closed bool // guarded by mu
}

func newConnector(c driver.Connector, most int) *connector {
	return &connector{Connector: c, spare: make(chan driver.Conn, most), connecting: make(chan struct{}, most)}
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
	if conn := c.takeSpare(ctx); conn != nil {
		return conn, nil
	}
	select {
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

// takeSpare returns a spare connection that the server has not ended, or nil.
func (c *connector) takeSpare(ctx context.Context) driver.Conn {
	for {
		select {
		case conn := <-c.spare:
			if ours, ok := conn.(*stdlib.Conn); !ok || checkQuiet(ctx, ours.Conn()) == nil {
				return conn
			}
			_ = conn.Close()
		default:
			return nil
		}
	}
}

func (c *connector) keep(conn driver.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		select {
		case c.spare <- conn:
			return
		default:
		}
	}
	_ = conn.Close()
}

// Close closes what is spare, now and later. sql.DB calls it.
func (c *connector) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
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
