//go:build linux

// Package drive sends prepared HTTP/1.1 requests over connections that are kept alive, and costs so little itself that
// the server at the other end is what limits the two.
//
//	driver, err := drive.Open(address, 16, true)
//	...
//	defer driver.Close()
//	latencies, err := driver.Drive(ctx, requests, func(status int, _ []byte) bool { return status == 200 })
//
// It needs Linux.
package drive

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"syscall"
	"time"
)

// Driver sends requests over its connections, all of them from one thread. Each connection waits for its answer before
// it sends again. It is not safe for concurrent use. Make it with [Open]; Close it when done.
type Driver struct {
	epoll int
	conns map[int32]*conn // by file descriptor
	// busy makes the driver ask for answers over and over instead of sleeping until one comes. To wake a sleeper costs
	// the server time, and a slow server, whose client sleeps more, would pay it more often than a fast one.
	busy   bool
	events [64]syscall.EpollEvent
	ready  []*conn // what wait returns
}

// Open makes so many connections to address, a host and port of IPv4. A busy driver uses up its core, and a server does
// not have to wake it.
func Open(address string, connections int, busy bool) (*Driver, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making an epoll instance: %w", err)
	}
	d := &Driver{epoll: epoll, conns: make(map[int32]*conn), busy: busy}
	for range connections {
		if err := d.connect(address); err != nil {
			d.Close()
			return nil, fmt.Errorf("connecting to %s: %w", address, err)
		}
	}
	return d, nil
}

func (d *Driver) connect(address string) error {
	to, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return err
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	d.conns[int32(fd)] = &conn{fd: fd}
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}); err != nil {
		return err
	}
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil {
		return err
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		return err
	}
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}
	return syscall.EpollCtl(d.epoll, syscall.EPOLL_CTL_ADD, fd, &event)
}

// Close closes the connections.
func (d *Driver) Close() {
	for _, c := range d.conns {
		_ = syscall.Close(c.fd)
	}
	_ = syscall.Close(d.epoll)
}

// Check reports whether an answer is right.
type Check func(status int, body []byte) bool

// Silence is how long no server may say nothing.
const Silence = 20 * time.Second

var errSilence = errors.New("no answer for 20 seconds")

// Drive sends every request once and returns how long each answer took, in no order. An answer that isRight does not
// take makes the whole an error, and so does a connection that breaks. The body is isRight's for the call only.
func (d *Driver) Drive(ctx context.Context, requests [][]byte, isRight Check) ([]time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	latencies := make([]time.Duration, 0, len(requests))
	bad := wrongs{isRight: isRight}
	sent := 0
	for _, c := range d.conns {
		if sent == len(requests) {
			break
		}
		if err := c.send(requests[sent]); err != nil {
			return nil, err
		}
		sent++
	}
	for answered := 0; answered < len(requests); {
		ready, err := d.wait(ctx)
		if err != nil {
			return nil, err
		}
		for _, c := range ready {
			status, body, complete, err := c.receive()
			if err != nil {
				return nil, err
			}
			if !complete {
				continue
			}
			latencies = append(latencies, time.Since(c.start))
			bad.check(status, body)
			answered++
			if sent < len(requests) {
				if err := c.send(requests[sent]); err != nil {
					return nil, err
				}
				sent++
			}
		}
	}
	return latencies, bad.err()
}

// wait returns the connections that have something to read, at least one, until the next call.
func (d *Driver) wait(ctx context.Context) ([]*conn, error) {
	timeout := 100 // milliseconds between looks at ctx
	if d.busy {
		timeout = 0
	}
	for start := time.Now(); time.Since(start) < Silence; {
		n, err := syscall.EpollWait(d.epoll, d.events[:], timeout)
		if err != nil && err != syscall.EINTR {
			return nil, fmt.Errorf("waiting for answers: %w", err)
		}
		if n > 0 {
			d.ready = d.ready[:0]
			for _, event := range d.events[:n] {
				d.ready = append(d.ready, d.conns[event.Fd])
			}
			return d.ready, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return nil, errSilence
}

// wrongs counts the answers that are not right.
type wrongs struct {
	isRight Check
	count   int
	first   string
}

func (w *wrongs) check(status int, body []byte) {
	if w.isRight(status, body) {
		return
	}
	if w.count++; w.count == 1 {
		w.first = fmt.Sprintf("status %d: %.200s", status, body)
	}
}

func (w *wrongs) err() error {
	if w.count == 0 {
		return nil
	}
	return fmt.Errorf("%d answers are wrong; the first: %s", w.count, w.first)
}
