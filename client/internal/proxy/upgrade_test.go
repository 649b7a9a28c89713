package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Who goes away does not leave work behind.
func TestCallerGoes(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		begun bool // the answer
	}{{"before the answer", false}, {"within the answer", true}} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			arrived, gone := make(chan struct{}), make(chan struct{})
			a := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
				if row.begun {
					_, _ = io.WriteString(w, "half")
					_ = http.NewResponseController(w).Flush()
				}
				close(arrived)
				<-r.Context().Done()
				close(gone)
			})
			s := newStage(t, a.URL, options{})
			conn := s.dial(t)
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
			<-arrived
			_ = conn.Close()
			select {
			case <-gone:
			case <-time.After(20 * time.Second):
				t.Error("the API works on")
			}
			if strings.Contains(s.log.String(), "passing on failed") {
				t.Errorf("the log takes it for a failure: %s", s.log)
			}
		})
	}
}

// An upgrade passes, with a token, and then octets in both directions.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	heads := make(chan []string, 1)
	up := newRawAPI(t, func(conn net.Conn, in *bufio.Reader) {
		heads <- readHead(in)
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello\n")
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "heard "+line)
		}
	})
	const limit = 300 * time.Millisecond
	s := newStage(t, up, options{server: limit})
	conn := s.dial(t)
	_, _ = io.WriteString(conn, "GET /chat HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Token: theirs\r\nSec-WebSocket-Key: x\r\n\r\n")
	in := bufio.NewReader(conn)
	if head := readHead(in); len(head) == 0 || !strings.HasPrefix(head[0], "HTTP/1.1 101 ") {
		t.Fatalf("got %q", head)
	}
	head := strings.Join(<-heads, "\n") + "\n"
	if !strings.Contains(head, "\nToken: "+tokenPrefix+"1\n") || strings.Contains(head, "theirs") || !strings.Contains(head, "\nUpgrade: websocket\n") {
		t.Errorf("the API got\n%s", head)
	}
	if line, err := in.ReadString('\n'); line != "hello\n" {
		t.Fatalf("got %q %v", line, err)
	}
	for i := range 3 {
		time.Sleep(limit) // longer than the server lets a request be
		_, _ = fmt.Fprintf(conn, "%d\n", i)
		if line, err := in.ReadString('\n'); line != fmt.Sprintf("heard %d\n", i) {
			t.Fatalf("got %q %v", line, err)
		}
	}
}
