package bearer_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/signet/resource/verify/verifytest"
)

// What Go's client would not send: line breaks and NUL in a header, and space around it. Most of it net/http answers
// with 400 before any handler sees it; what it lets through must be right all the same.
func TestHostileRawRequests(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	token := e.token
	middle := len(token) / 2
	rows := []struct {
		name   string
		lines  string // of the header, between Host and the empty line
		status int
		code   string // "" when net/http answers, or nothing is wrong
	}{
		// RFC 9110 §5.5: white space around a value is not part of it.
		{"space around the token", "Token:   " + token + "  \t", 200, ""},
		{"space behind Bearer's token", "Authorization: Bearer " + token + "  ", 200, ""},
		{"NUL inside", "Token: " + token[:middle] + "\x00" + token[middle:], 400, ""},
		{"NUL behind", "Token: " + token + "\x00", 400, ""},
		{"CR inside", "Token: " + token[:middle] + "\r" + token[middle:], 400, ""},
		{"LF inside", "Token: " + token[:middle] + "\n" + token[middle:], 400, ""},
		{"CR LF inside", "Token: " + token[:middle] + "\r\n" + token[middle:], 400, ""},
		{"DEL inside", "Token: " + token[:middle] + "\x7f" + token[middle:], 400, ""},
		// Obsolete line folding, which net/http reads as one space.
		{"folded", "Token: " + token[:middle] + "\r\n " + token[middle:], 401, "invalid_token"},
		{"folded, Bearer", "Authorization: Bearer " + token[:middle] + "\r\n\t" + token[middle:], 400,
			"invalid_request"},
		{"folded behind the scheme", "Authorization: Bearer\r\n " + token, 200, ""}, // one space, as it is meant
		{"space before the colon", "Token : " + token, 400, ""},
		{"a name that is no name", "To\x00ken: " + token, 400, ""},
		{"a second Token injected by a line break", "Token: x\nToken: " + token, 400, "invalid_request"},
		{"the same in two letter cases", "TOKEN: " + token + "\r\ntoken: " + token, 400, "invalid_request"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			start := time.Now()
			status, challenge, text := e.sendRaw(t, row.lines)
			if status != row.status || time.Since(start) > time.Second {
				t.Fatalf("%d after %v, want %d: %s", status, time.Since(start), row.status, text)
			}
			want := ""
			if row.code != "" {
				want = fixed[row.code].challenge
			}
			if challenge != want {
				t.Errorf("WWW-Authenticate %q, want %q", challenge, want)
			}
			if leak := verifytest.Leak(text, token); leak != "" {
				t.Errorf("%q of the token is in the answer", leak)
			}
		})
	}
	t.Logf("%d rows", len(rows))
}

// sendRaw writes a request by hand and reads the answer.
func (e *edge) sendRaw(t *testing.T, lines string) (status int, challenge, text string) {
	t.Helper()
	conn, err := net.Dial("tcp", e.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn,
		"GET / HTTP/1.1\r\nHost: localhost\r\n"+lines+"\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	var seen strings.Builder
	resp, err := http.ReadResponse(bufio.NewReader(io.TeeReader(conn, &seen)), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("WWW-Authenticate"), seen.String()
}
