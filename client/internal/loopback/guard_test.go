package loopback_test

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

// What a page in a browser on this machine could send is refused; what programs send is not.
func TestGuard(t *testing.T) {
	t.Parallel()
	const misdirected, foreign = "421 Misdirected Request", "403 Forbidden"
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "secret") }))
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	ours := "Host: 127.0.0.1:" + port + "\r\n"
	for _, row := range []struct{ name, target, headers, want string }{
		{"a name that was made to point here", "/", "Host: evil.example\r\n", misdirected},
		{"with our port", "/", "Host: evil.example:" + port + "\r\n", misdirected},
		{"one that looks like ours", "/", "Host: 127.0.0.1.evil.example\r\n", misdirected},
		{"one below localhost", "/", "Host: evil.localhost\r\n", misdirected},
		{"no name", "/", "Host:\r\n", misdirected},
		{"another address of this machine", "/", "Host: 192.168.0.1:" + port + "\r\n", misdirected},
		{"unspecified address", "/", "Host: 0.0.0.0:" + port + "\r\n", misdirected},
		{"in the target", "http://evil.example/", ours, misdirected},
		{"whatever the path", "/any/path", "Host: evil.example\r\n", misdirected},
		{"and whatever the browser says", "/", "Host: evil.example\r\nSec-Fetch-Site: same-origin\r\n", misdirected},

		{"page of another site", "/", ours + "Sec-Fetch-Site: cross-site\r\n", foreign},
		{"page on another port", "/", ours + "Sec-Fetch-Site: same-site\r\n", foreign},
		{"an unknown word", "/", ours + "Sec-Fetch-Site: Same-Origin\r\n", foreign},
		{"origin of another site", "/", ours + "Origin: https://evil.example\r\n", foreign},
		{"origin on another port", "/", ours + "Origin: http://127.0.0.1:1\r\n", foreign},
		{"our name as the beginning of another", "/", ours + "Origin: http://127.0.0.1:" + port + ".evil.example\r\n", foreign},
		{"our name as the user of another", "/", ours + "Origin: http://127.0.0.1:" + port + "@evil.example\r\n", foreign},
		{"origin by another name of ours", "/", ours + "Origin: http://localhost:" + port + "\r\n", foreign},
		{"a sandbox", "/", ours + "Origin: null\r\n", foreign},
		{"an empty origin", "/", ours + "Origin:\r\n", foreign},
		{"no origin", "/", ours + "Origin: http://[evil\r\n", foreign},
		{"two origins, the good one first", "/", ours + "Origin: http://127.0.0.1:" + port + "\r\nOrigin: https://evil.example\r\n", foreign},
		{"another's origin, and our site", "/", ours + "Origin: https://evil.example\r\nSec-Fetch-Site: same-origin\r\n", foreign},

		{"a program", "/", ours, "200 OK"},
		{"by name", "/", "Host: localhost:" + port + "\r\n", "200 OK"},
		{"through a tunnel, by another port", "/", "Host: localhost:8888\r\n", "200 OK"},
		{"IPv6", "/", "Host: [::1]:" + port + "\r\n", "200 OK"},
		{"typed into a browser", "/", ours + "Sec-Fetch-Site: none\r\n", "200 OK"},
		{"our own page", "/", ours + "Sec-Fetch-Site: same-origin\r\nOrigin: http://127.0.0.1:" + port + "\r\n", "200 OK"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got := send(t, address, "GET "+row.target+" HTTP/1.1\r\nConnection: close\r\n"+row.headers+"\r\n")
			if !strings.HasPrefix(got, "HTTP/1.1 "+row.want+"\r\n") {
				t.Errorf("got %q, want %s", got, row.want)
			}
			if isAnswered := strings.Contains(got, "secret"); isAnswered != (row.want == "200 OK") {
				t.Errorf("the handler was reached: %v", isAnswered)
			}
		})
	}
}

// An upgrade is a request too: a page of another site gets no WebSocket.
func TestGuardOfUpgrades(t *testing.T) {
	t.Parallel()
	address := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler was reached") }))
	got := send(t, address, "GET / HTTP/1.1\r\nHost: "+address+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: https://evil.example\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 403 ") {
		t.Errorf("got %q", got)
	}
}

// send sends exactly these octets and returns the head of the answer and what comes of the body.
func send(t *testing.T, address, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("HTTP/1.1 %s\r\n%s", resp.Status, body)
}
