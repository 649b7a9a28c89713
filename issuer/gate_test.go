package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

// gate stands between issuers and PostgreSQL and does to connections what networks and poolers do.
type gate struct {
	cut  bool   // end a connection that is to listen
	lose bool   // lose what is announced
	slow string // what is asked with this text takes a second on its way; empty: nothing does

	listener net.Listener
	to       string // where PostgreSQL is
	running  sync.WaitGroup
}

// open returns the address of a database behind the gate, which stands until the test ends.
func (g *gate) open(t *testing.T, database string) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.listener, g.to = listener, u.Host
	g.running.Go(g.serve)
	t.Cleanup(func() {
		listener.Close()
		g.running.Wait()
	})
	u.Host = listener.Addr().String()
	return u.String()
}

func (g *gate) serve() {
	for {
		client, err := g.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", g.to)
		if err != nil {
			client.Close()
			continue
		}
		end := func() {
			client.Close()
			server.Close()
		}
		g.running.Go(func() {
			defer end()
			g.ask(server, client)
		})
		g.running.Go(func() {
			defer end()
			g.tell(client, server)
		})
	}
}

// ask passes on what the client says.
func (g *gate) ask(server io.Writer, client io.Reader) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil || g.cut && bytes.Contains(buffer[:n], []byte("LISTEN ")) {
			return
		}
		if g.slow != "" && bytes.Contains(buffer[:n], []byte(g.slow)) {
			<-time.After(time.Second)
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// tell passes on what the server says, message by message, perhaps without NotificationResponse (PostgreSQL's
// documentation, "Message Formats").
func (g *gate) tell(client io.Writer, server io.Reader) {
	for {
		head := make([]byte, 5) // its kind, and its length but for the kind
		if _, err := io.ReadFull(server, head); err != nil {
			return
		}
		message := append(head, make([]byte, binary.BigEndian.Uint32(head[1:])-4)...)
		if _, err := io.ReadFull(server, message[len(head):]); err != nil {
			return
		}
		if g.lose && head[0] == 'A' {
			continue
		}
		if _, err := client.Write(message); err != nil {
			return
		}
	}
}
