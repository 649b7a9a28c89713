package proxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// first returns the first line of what s answers to a request with a good token whose request line is this.
func (s *stage) first(t *testing.T, line, rest string) string {
	t.Helper()
	got := s.raw(t, line+"\r\nHost: h\r\nToken: good\r\nConnection: close\r\n"+rest+"\r\n")
	status, _, _ := strings.Cut(got, "\r\n")
	return status
}

// newLines is an application that answers 200 and tells the lines that it reads.
func newLines(t *testing.T) (<-chan []string, string) {
	t.Helper()
	heads := make(chan []string, 8)
	return heads, newRawApplication(t, func(conn net.Conn, in *bufio.Reader) {
		heads <- readHead(in)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
	})
}

// The application gets the target as the caller spelled it: to read it otherwise is to guard something else than is
// done.
func TestTargets(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, target, upstream, want string }{
		{"plain", "/orders?id=1", "", "/orders?id=1"},
		{"escaped slash", "/a%2fb/%2F", "", "/a%2fb/%2F"},
		{"escaped letters", "/%61%0a%00", "", "/%61%0a%00"},
		{"two slashes", "//evil.example/x", "", "//evil.example/x"},
		{"more slashes", "/a//b///", "", "/a//b///"},
		{"semicolon", "/a;b=c/d", "", "/a;b=c/d"},
		{"token in the query", "/?token=good&access_token=x", "", "/?token=good&access_token=x"},
		{"question mark and nothing", "/a?", "", "/a?"},
		{"query that parsers read differently", "/?a=1;b=2&c=3&d=%zz", "", "/?c=3"},
		{"absolute form", "http://evil.example/x", "", "/x"},
		{"absolute form, another scheme", "ftp://evil.example/x", "", "/x"},
		{"absolute form with a user", "http://root:x@evil.example/x", "", "/x"},
		{"absolute form without path", "http://evil.example", "", "/"},
		{"below a path", "/orders", "/base", "/base/orders"},
		{"below a path with slash", "/orders", "/base/", "/base/orders"},
		{"below a path, two slashes", "//orders", "/base/", "/base//orders"},
		{"the root below a path", "/", "/base", "/base/"},
		{"dots without a path to leave", "/a/../b", "", "/a/../b"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			heads, address := newLines(t)
			s := newStage(t, address, options{path: row.upstream})
			if status := s.first(t, "GET "+row.target+" HTTP/1.1", ""); status != "HTTP/1.1 200 OK" {
				t.Fatalf("answer %q", status)
			}
			head := <-heads
			if head[0] != "GET "+row.want+" HTTP/1.1" || !slices.Contains(head, "Host: "+address) {
				t.Errorf("the application sees %q", head)
			}
		})
	}
}

// What the operator put under a path stays under it, and no target tells the application another host.
func TestTargetsThatLeave(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, target, upstream string }{
		{"dots", "/../admin", "/base"},
		{"dots inside", "/a/../../admin", "/base"},
		{"escaped dots", "/%2e%2E/admin", "/base"},
		{"half escaped dots", "/.%2e/admin", "/base"},
		{"dots at the end", "/..", "/base"},
		{"dots behind an escaped slash", "/a%2f..%2f..%2fadmin", "/base"},
		{"dots before a parameter", "/..;x/admin", "/base"},
		{"backslash", `/..\admin`, "/base"},
		{"escaped backslash", "/..%5cadmin", "/base"},
		{"opaque", "x:admin", ""},
		{"opaque with another host", "x:http://evil.example/admin", ""},
		{"opaque that leaves", "x:http://evil.example/admin", "/base"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			heads, address := newLines(t)
			s := newStage(t, address, options{path: row.upstream})
			if status := s.first(t, "GET "+row.target+" HTTP/1.1", ""); !strings.HasPrefix(status, "HTTP/1.1 4") {
				t.Errorf("answer %q; the application sees %q", status, <-heads)
			}
		})
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "TRACE",
		"get", "X-Y"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			app := newApplication(t, nil)
			s := newStage(t, app.addr(), options{})
			got := s.raw(t, method+" /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
			if !strings.HasPrefix(got, "HTTP/1.1 401") {
				t.Errorf("without token %q", got)
			}
			app.wantNothing(t)
			if status := s.first(t, method+" /x HTTP/1.1", ""); status != "HTTP/1.1 200 OK" {
				t.Errorf("answer %q", status)
			}
			if r := app.only(t); r.Method != method || r.RequestURI != "/x" {
				t.Errorf("the application sees %s %s", r.Method, r.RequestURI)
			}
		})
	}
}

// OPTIONS * is about the server, and answered by it; CONNECT opens no tunnel.
func TestMethodsOfTheirOwnForm(t *testing.T) {
	t.Parallel()
	heads, address := newLines(t)
	s := newStage(t, address, options{})
	for _, row := range []struct{ line, want string }{
		{"OPTIONS * HTTP/1.1", "HTTP/1.1 200 OK"},
		{"CONNECT evil.example:443 HTTP/1.1", "HTTP/1.1 405 Method Not Allowed"},
		{"CONNECT /x HTTP/1.1", "HTTP/1.1 405 Method Not Allowed"},
	} {
		if got := s.first(t, row.line, ""); got != row.want {
			t.Errorf("%s: %q, want %q", row.line, got, row.want)
		}
	}
	select {
	case head := <-heads:
		t.Errorf("the application sees %q", head)
	default:
	}
}

// Whatever two servers might read as one request or as two is refused, or arrives as one.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	const inner = "GET /admin HTTP/1.1\r\nHost: h\r\nX-Auth-Subject: root\r\n\r\n"
	for _, row := range []struct {
		name, head, body string
		want             string // the status
		arrives          string // the body that arrives, complete
	}{
		{"length and chunks", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", "200", ""},
		{"chunks and length", "Transfer-Encoding: chunked\r\nContent-Length: 100\r\n", "3\r\nabc\r\n0\r\n\r\n",
			"200", "abc"},
		{"two lengths", "Content-Length: 3\r\nContent-Length: 4\r\n", "abc", "400", ""},
		{"two lengths in one", "Content-Length: 3, 4\r\n", "abc", "400", ""},
		{"the same length twice", "Content-Length: 3\r\nContent-Length: 3\r\n", "abc", "200", "abc"},
		{"negative length", "Content-Length: -1\r\n", "", "400", ""},
		{"length with sign", "Content-Length: +3\r\n", "abc", "400", ""},
		{"length in hexadecimal", "Content-Length: 0x3\r\n", "abc", "400", ""},
		{"unknown encoding", "Transfer-Encoding: cow\r\n", "abc", "501", ""},
		{"two encodings", "Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n", "501", ""},
		{"encoding twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", "501", ""},
		{"encoding with vertical tab", "Transfer-Encoding: \vchunked\r\n", "0\r\n\r\n", "400", ""},
		{"space before the colon", "Transfer-Encoding : chunked\r\n", "0\r\n\r\n", "400", ""},
		{"header without name", ": x\r\n", "", "400", ""},
		{"header with a space", "X-Auth-Subject x: root\r\n", "", "400", ""},
		{"NUL", "X-Note: a\x00b\r\n", "", "400", ""},
		{"two hosts", "Host: other\r\n", "", "400", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			app := newApplication(t, nil)
			s := newStage(t, app.addr(), options{})
			got := s.raw(t, "POST /x HTTP/1.1\r\nHost: h\r\nToken: good\r\nConnection: close\r\n"+
				row.head+"\r\n"+row.body+inner)
			if !strings.HasPrefix(got, "HTTP/1.1 "+row.want) || strings.Count(got, "HTTP/1.1 ") != 1 {
				t.Fatalf("answers %q", got)
			}
			if row.want != "200" {
				app.wantNothing(t)
				return
			}
			if r := app.only(t); r.RequestURI != "/x" || r.body != row.arrives || r.err != nil {
				t.Errorf("the application sees %s with %q, %v", r.RequestURI, r.body, r.err)
			}
		})
	}
}

// A body that breaks off, or is none, is never a complete one for the application, and the caller's fault.
func TestBrokenBodies(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, body string }{
		{"no length of a chunk", "xyz\r\n"},
		{"negative chunk", "-1\r\nabc\r\n0\r\n\r\n"},
		{"too long a length", "fffffffffffffffff\r\nabc\r\n0\r\n\r\n"},
		{"chunk longer than its length", "2\r\nabc\r\n0\r\n\r\n"},
		{"bare line feeds", "3\nabc\n0\n\n"},
		{"after a good chunk", "3\r\nabc\r\nzz\r\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			app := newApplication(t, nil)
			s := newStage(t, app.addr(), options{})
			got := s.raw(t, "POST /x HTTP/1.1\r\nHost: h\r\nToken: good\r\nConnection: close\r\n"+
				"Transfer-Encoding: chunked\r\n\r\n"+row.body)
			if status, _, _ := strings.Cut(got, "\r\n"); status != "HTTP/1.1 400 Bad Request" {
				t.Errorf("answer %q", status)
			}
			app.Close() // waits for the handler
			for _, r := range app.requests() {
				if r.err == nil {
					t.Errorf("a complete body arrived: %q", r.body)
				}
			}
		})
	}
}

// The proxy follows nothing: where an answer points is for the caller to see.
func TestRedirectsPass(t *testing.T) {
	t.Parallel()
	app := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:1/x", http.StatusFound)
	})
	s := newStage(t, app.addr(), options{})
	a := s.send(t, http.MethodPost, "/", strings.NewReader("x"))
	if a.StatusCode != http.StatusFound || a.Header.Get("Location") != "http://127.0.0.1:1/x" {
		t.Errorf("got %d, %v", a.StatusCode, a.Header)
	}
	app.only(t)
}
