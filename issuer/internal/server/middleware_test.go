package server_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/issuer/internal/server"
)

func TestTokenPanics(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *server.Config) {
		c.Token = func(context.Context, oauth.Request) (oauth.Response, oauth.Record, error) { panic("inner detail") }
	})
	a := s.post(t, form("client_id", "billing", "client_secret", secret))
	if a.StatusCode != 500 || a.body != errorBody("server_error", "the request cannot be answered now")+"\n" {
		t.Errorf("status %d, body %q", a.StatusCode, a.body)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "Pragma": "no-cache"} { // I12
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if line := s.lines(t, "panic")[0]; line["cause"] != "inner detail" || line["request_id"] != a.Header.Get("X-Request-Id") {
		t.Errorf("log %v", line)
	}
	if events := s.audit(t, "token.refused"); len(events) != 1 || events[0]["status"] != 500.0 || events[0]["cause"] != "panic" {
		t.Errorf("audit %v", events)
	}
	s.post(t, form()) // the server goes on
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	seen := make(map[string]bool)
	for range 20 {
		a := s.get(t, "/.well-known/jwks.json", "X-Request-Id", "chosen-by-the-caller")
		id := a.Header.Get("X-Request-Id")
		if id == "" || seen[id] || strings.Contains(id, "chosen") {
			t.Fatalf("request id %q", id)
		}
		seen[id] = true
	}
	if strings.Contains(s.log.String(), "chosen-by-the-caller") {
		t.Error("the caller wrote into the log")
	}
	for _, line := range s.lines(t, "request") {
		if !seen[line["request_id"].(string)] {
			t.Errorf("log %v", line)
		}
	}
}

// The log has paths without queries, and one line for a request whatever its path has in it.
func TestLogOfPaths(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.keep("hunter2-hunter2")
	if a := s.get(t, "/a%0Amsg=forged?client_secret=hunter2-hunter2"); a.StatusCode != http.StatusNotFound {
		t.Errorf("status %d", a.StatusCode)
	}
	if lines := s.lines(t, "request"); len(lines) != 1 || lines[0]["path"] != "/a\nmsg=forged" || lines[0]["status"] != 404.0 {
		t.Errorf("log %v", lines)
	}
}

// A request that is no HTTP is answered by net/http, and nothing of it gets into our log.
func TestNotHTTP(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /oauth2/token HTTP/1.1\r\nHost: a\r\nAuthorization : Basic hunter2-hunter2\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusBadRequest || s.log.String() != "" {
		t.Errorf("status %d, log %q", response.StatusCode, s.log)
	}
}
