package store_test

import (
	"bytes"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy is on the way to a PostgreSQL, and can be slow.
type proxy struct {
	target   atomic.Pointer[string]
	live     sync.Map // what is connected, net.Conn
	listener net.Listener
	delay    atomic.Int64 // a time.Duration: how much later each answer comes
	trips    atomic.Int64 // how often the server was ready for the next query
	group    sync.WaitGroup
	ended    chan struct{}
}

// newProxy puts a proxy in front of the database.
func newProxy(t *testing.T, db *database) *proxy {
	t.Helper()
	u, err := url.Parse(db.url)
	must(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &proxy{listener: listener, ended: make(chan struct{})}
	p.target.Store(&u.Host)
	db.url = strings.Replace(db.url, u.Host, listener.Addr().String(), 1)
	p.group.Go(p.serve)
	t.Cleanup(func() {
		close(p.ended)
		_ = listener.Close()
		p.group.Wait()
	})
	return p
}

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", *p.target.Load())
		if err != nil {
			_ = client.Close()
			continue
		}
		p.live.Store(server, nil)
		p.group.Go(func() { p.relay(client, server, false) })
		p.group.Go(func() { p.relay(server, client, true) })
		p.group.Go(func() {
			<-p.ended
			_ = client.Close()
			_ = server.Close()
		})
	}
}

// redirect ends all connections, and takes the next ones elsewhere.
func (p *proxy) redirect(target string) {
	p.target.Store(&target)
	p.live.Range(func(conn, _ any) bool {
		_ = conn.(net.Conn).Close()
		return true
	})
}

// piece is what was read at once, and when it may go on.
type piece struct {
	data []byte
	at   time.Time
}

// relay passes on what it reads, answers with the delay, and closes both when one ends.
func (p *proxy) relay(from, to net.Conn, answers bool) {
	pieces := make(chan piece, 1024)
	p.group.Go(func() {
		defer close(pieces)
		buffer := make([]byte, 64<<10)
		for {
			n, err := from.Read(buffer)
			if n > 0 {
				pieces <- piece{bytes.Clone(buffer[:n]), time.Now()}
			}
			if err != nil {
				return
			}
		}
	})
	for piece := range pieces {
		if answers {
			p.trips.Add(int64(bytes.Count(piece.data, []byte("Z\x00\x00\x00\x05")))) // ReadyForQuery
			select {
			case <-time.After(time.Until(piece.at.Add(time.Duration(p.delay.Load())))):
			case <-p.ended:
			}
		}
		_, _ = to.Write(piece.data)
	}
	_ = to.Close()
	_ = from.Close()
}
