package proxy_test

import (
	"bufio"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// handshake is the least of RFC 6455 §4.1.
const handshake = "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"

// echo switches protocols, and then sends back what comes until it reads "bye". It reports what it got, and its end.
type echo struct {
	heads chan []string
	ended chan struct{}
}

func newEcho(t *testing.T) (echo, string) {
	t.Helper()
	e := echo{make(chan []string, 8), make(chan struct{}, 8)}
	return e, newRawApplication(t, func(conn net.Conn, in *bufio.Reader) {
		defer func() { e.ended <- struct{}{} }()
		head := readHead(in)
		if len(head) == 0 {
			return
		}
		e.heads <- head
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Request-Id: theirs\r\n\r\nwelcome\n")
		for {
			line, err := in.ReadString('\n')
			if err != nil || line == "bye\n" {
				return
			}
			_, _ = io.WriteString(conn, line)
		}
	})
}

// upgrade makes the handshake, and returns the answer's head and the connection.
func (s *stage) upgrade(t *testing.T, head string) ([]string, net.Conn, *bufio.Reader) {
	t.Helper()
	conn := s.dial(t)
	_, _ = io.WriteString(conn, head+"\r\n")
	in := bufio.NewReader(conn)
	return readHead(in), conn, in
}

func wantLine(t *testing.T, in *bufio.Reader, want string) {
	t.Helper()
	if line, err := in.ReadString('\n'); err != nil || line != want {
		t.Fatalf("read %q, %v; want %q", line, err, want)
	}
}

func wantEnd(t *testing.T, in *bufio.Reader) {
	t.Helper()
	rest, err := readAll(in)
	var timeout net.Error
	if rest != "" || (err != nil && asTimeout(err, &timeout)) {
		t.Fatalf("the connection did not end: %q, %v", rest, err)
	}
}

func wantSoon(t *testing.T, what string, happened <-chan struct{}) {
	t.Helper()
	select {
	case <-happened:
	case <-time.After(5 * time.Second):
		t.Fatal("not in 5 s: " + what)
	}
}

func TestWebSocketBothWays(t *testing.T) {
	t.Parallel()
	e, address := newEcho(t)
	s := newStage(t, address, options{server: 200 * time.Millisecond, patience: 100 * time.Millisecond})
	head, conn, in := s.upgrade(t, handshake+"Token: good\r\nX-Auth-Subject: root\r\nx_auth_issuer: root\r\n")
	if statusOf(head) != "HTTP/1.1 101 Switching Protocols" || !slices.Contains(head,
		"Sec-Websocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") {
		t.Fatalf("answer %q", head)
	}
	if n := strings.Count(strings.Join(head, "\n"), "X-Request-Id:"); n != 1 || !slices.Contains(head,
		"X-Request-Id: id-1") {
		t.Errorf("request id in %q", head)
	}
	request := <-e.heads
	for _, line := range []string{"X-Auth-Issuer: https://a.example", "X-Auth-Subject: billing",
		"X-Auth-Client-Id: app-7", "X-Auth-Scope: orders:read", "Connection: Upgrade", "Upgrade: websocket",
		"Sec-Websocket-Version: 13"} {
		if !slices.Contains(request, line) {
			t.Errorf("%q is not in %q", line, request)
		}
	}
	all := strings.ToLower(strings.Join(request, "\n"))
	if strings.Contains(all, "token:") || strings.Contains(all, "root") {
		t.Errorf("the application sees %q", request)
	}
	wantLine(t, in, "welcome\n")
	// Past every other limit.
	for start := time.Now(); time.Since(start) < 500*time.Millisecond; time.Sleep(20 * time.Millisecond) {
		_, _ = io.WriteString(conn, "ping\n")
		wantLine(t, in, "ping\n")
	}
	_, _ = io.WriteString(conn, "bye\n")
	wantEnd(t, in)
	wantSoon(t, "the application's end", e.ended)
}

func TestWebSocketWithoutToken(t *testing.T) {
	t.Parallel()
	e, address := newEcho(t)
	s := newStage(t, address, options{})
	for _, line := range []string{"", "Token: bad\r\n", "Token: good\r\nToken: good\r\n",
		"Sec-WebSocket-Protocol: good\r\n"} {
		head, _, _ := s.upgrade(t, handshake+line)
		if !strings.HasPrefix(statusOf(head), "HTTP/1.1 40") {
			t.Errorf("%q: %q", line, head)
		}
	}
	if len(e.heads) != 0 {
		t.Error("a handshake reached the application")
	}
}

// Who may talk for an hour on a token of ten minutes has a token of an hour.
func TestWebSocketEndsWithItsToken(t *testing.T) {
	t.Parallel()
	e, address := newEcho(t)
	s := newStage(t, address, options{claims: billing(2 * time.Second)})
	head, conn, in := s.upgrade(t, handshake+"Token: good\r\n")
	if statusOf(head) != "HTTP/1.1 101 Switching Protocols" {
		t.Fatalf("answer %q", head)
	}
	wantLine(t, in, "welcome\n")
	_, _ = io.WriteString(conn, "ping\n")
	wantLine(t, in, "ping\n")
	wantEnd(t, in)
	wantSoon(t, "the application's end", e.ended)
}

func TestWebSocketEndsWithTheCaller(t *testing.T) {
	t.Parallel()
	e, address := newEcho(t)
	s := newStage(t, address, options{})
	_, conn, in := s.upgrade(t, handshake+"Token: good\r\n")
	wantLine(t, in, "welcome\n")
	_ = conn.Close()
	wantSoon(t, "the application's end", e.ended)
}

// The verifier allows for clocks that are apart: what it lets through within the leeway is no reason to blame the
// application.
func TestWebSocketWithinTheLeeway(t *testing.T) {
	t.Parallel()
	_, address := newEcho(t)
	s := newStage(t, address, options{claims: billing(-5 * time.Second)})
	head, _, _ := s.upgrade(t, handshake+"Token: good\r\n")
	if !strings.HasPrefix(statusOf(head), "HTTP/1.1 401") && !strings.HasPrefix(statusOf(head), "HTTP/1.1 101") {
		t.Errorf("answer %q", head)
	}
}

// Whatever else an application might speak, the caller would tell it who calls: with HTTP/2 in clear text (h2c), in
// headers that nobody here sees.
func TestNoOtherUpgrade(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, lines string }{
		{"h2c", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"},
		{"h2c in capitals", "Connection: upgrade\r\nUpgrade: H2C\r\n"},
		{"h2c and websocket", "Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n"},
		{"websocket and h2c", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n"},
		{"websocket, then h2c", "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n"},
		{"h2c, then websocket", "Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n"},
		{"TLS", "Connection: Upgrade\r\nUpgrade: TLS/1.2, HTTP/1.1\r\n"},
		{"HTTP/2", "Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			requests := make(chan []string, 8)
			address := newRawApplication(t, func(conn net.Conn, in *bufio.Reader) {
				head := readHead(in)
				requests <- head
				for _, line := range head {
					if value, is := strings.CutPrefix(line, "Upgrade: "); is {
						_, _ = io.WriteString(conn,
							"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+value+"\r\n\r\n")
						requests <- readHead(in)
						return
					}
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
			})
			s := newStage(t, address, options{})
			head, conn, _ := s.upgrade(t, "GET / HTTP/1.1\r\nHost: h\r\nToken: good\r\n"+row.lines)
			if statusOf(head) == "HTTP/1.1 101 Switching Protocols" {
				_, _ = io.WriteString(conn, "GET /admin HTTP/1.1\r\nX-Auth-Subject: root\r\n\r\n")
				<-requests
				t.Errorf("the caller talks to the application: %q", <-requests)
			}
		})
	}
}
