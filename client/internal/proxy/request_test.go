package proxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"example.com/signet/client/tokens"
)

// Whatever token a request has, in whatever spelling, the API sees ours and no other.
func TestTokenIsReplaced(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, headers string }{
		{"none", ""},
		{"token", "Token: theirs\r\n"},
		{"token in small letters", "token: theirs\r\n"},
		{"token in capitals", "TOKEN: theirs\r\n"},
		{"token twice", "Token: theirs\r\ntoken: theirs\r\n"},
		{"bearer", "Authorization: Bearer theirs\r\n"},
		{"basic, in mixed letters", "aUTHORIZATION: Basic dGhlaXJz\r\n"},
		{"both", "Token: theirs\r\nAuthorization: Bearer theirs\r\n"},
		{"an empty one", "Token:\r\n"},
		{"named as the connection's own", "Connection: close, Token, Authorization\r\nToken: theirs\r\n"},
		{"as a trailer", "Trailer: Token, Authorization\r\n"},
	} {
		for _, carrier := range []tokens.Header{tokens.TokenHeader, tokens.AuthorizationHeader} {
			t.Run(row.name, func(t *testing.T) {
				t.Parallel()
				a := newAPI(t, nil)
				s := newStage(t, a.URL, options{header: carrier})
				if got := s.raw(t, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"+row.headers+"\r\n"); !strings.HasSuffix(got, "ok") {
					t.Fatalf("got %q", got)
				}
				wantToken, wantAuthorization := []string{tokenPrefix + "1"}, []string(nil)
				if carrier == tokens.AuthorizationHeader {
					wantToken, wantAuthorization = nil, []string{"Bearer " + tokenPrefix + "1"}
				}
				h := a.only(t).Header
				if !slices.Equal(h["Token"], wantToken) || !slices.Equal(h["Authorization"], wantAuthorization) {
					t.Errorf("Token %q, Authorization %q, want %q and %q", h["Token"], h["Authorization"], wantToken, wantAuthorization)
				}
			})
		}
	}
}

// A server that adds trailers to the headers must not find a token of the caller's among them: none of a request pass.
func TestTrailersOfRequests(t *testing.T) {
	t.Parallel()
	read := make(chan http.Header, 1)
	a := newAPI(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		read <- r.Trailer
	})
	newStage(t, a.URL, options{}).raw(t, "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"+
		"Trailer: token, Authorization, X-Sum\r\n\r\n2\r\nhi\r\n0\r\nToken: theirs\r\nAuthorization: Bearer theirs\r\nX-Sum: 7\r\n\r\n")
	if trailer := <-read; len(trailer) != 0 {
		t.Errorf("arrived: %v", trailer)
	}
}

func TestTargetsPassAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, base, target, want string }{
		{"root", "", "/", "/"},
		{"query in its order", "", "/?b=2&a=1", "/?b=2&a=1"},
		{"query with a semicolon", "", "/?a=1;b=2", "/?a=1;b=2"},
		{"query with a stray percent", "", "/?q=100%&a=1", "/?q=100%&a=1"},
		{"query that is a text", "", "/?wsdl", "/?wsdl"},
		{"query with a URL", "", "/?u=http://127.0.0.1/?x", "/?u=http://127.0.0.1/?x"},
		{"empty query", "", "/?", "/?"},
		{"query twice", "", "/?a=1&a=2", "/?a=1&a=2"},
		{"escaped slash", "", "/a%2Fb", "/a%2Fb"},
		{"escaped letters", "", "/%61%3f", "/%61%3f"},
		{"plus and space", "", "/a+b%20c", "/a+b%20c"},
		{"two slashes", "", "//evil.example/x", "//evil.example/x"},
		{"not ASCII", "", "/%C3%BC", "/%C3%BC"},
		{"base path", "/api", "/orders?id=7", "/api/orders?id=7"},
		{"base path with a slash", "/api/", "/orders", "/api/orders"},
		{"base path that is escaped", "/a%2Fb", "/c%2Fd", "/a%2Fb/c%2Fd"},
		{"base path alone", "/api", "/", "/api/"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t, nil)
			s := newStage(t, a.URL+row.base, options{})
			s.raw(t, "GET "+row.target+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
			r := a.only(t)
			if r.RequestURI != row.want {
				t.Errorf("got %s, want %s", r.RequestURI, row.want)
			}
			if host := strings.TrimPrefix(a.URL, "http://"); r.Host != host {
				t.Errorf("Host is %s, want %s", r.Host, host)
			}
		})
	}
}

func TestMethodsPass(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "PURGE", "get"} {
		for _, body := range []string{"", "a body"} {
			t.Run(method+" "+body, func(t *testing.T) {
				t.Parallel()
				a := newAPI(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
				got := newStage(t, a.URL, options{}).send(t, method, "/", strings.NewReader(body), "Content-Type", "text/x-test")
				want := body
				if method == http.MethodHead {
					want = ""
				}
				got.want(t, 200, want)
				r := a.only(t)
				if r.Method != method || r.Header.Get("Content-Type") != "text/x-test" || r.ContentLength != int64(len(body)) {
					t.Errorf("got %s of %d octets, %v", r.Method, r.ContentLength, r.Header)
				}
			})
		}
	}
}

func TestHeadersOfRequests(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	s := newStage(t, a.URL, options{})
	s.send(t, http.MethodGet, "/", nil, "X-One", "1", "X-One", "2", "Cookie", "a=b", "User-Agent", "theirs", "Accept-Encoding", "br",
		"X-Forwarded-For", "10.0.0.1", "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https", "Forwarded", "for=10.0.0.1",
		"Keep-Alive", "timeout=5", "Proxy-Authorization", "Basic eDp5", "Proxy-Connection", "keep-alive", "Te", "gzip",
		"X-Hop", "1", "Connection", "X-Hop")
	got := a.only(t).Header
	for name, want := range map[string][]string{
		"X-One": {"1", "2"}, "Cookie": {"a=b"}, "User-Agent": {"theirs"}, "Accept-Encoding": {"br"},
		"X-Forwarded-For": nil, "X-Forwarded-Host": nil, "X-Forwarded-Proto": nil, "Forwarded": nil,
		"Keep-Alive": nil, "Proxy-Authorization": nil, "Proxy-Connection": nil, "Te": nil, "X-Hop": nil,
	} {
		if !slices.Equal(got[name], want) {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
}

// What a program did not say of itself, we do not say for it.
func TestNothingIsAdded(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	newStage(t, a.URL, options{}).raw(t, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	got := a.only(t).Header
	delete(got, "Token")
	if len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

// A program that takes us for a forward proxy gets no tunnel; one whose address is ours gets the API, wherever it points.
func TestOtherForms(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, request, want string }{
		{"CONNECT", "CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\nConnection: close\r\n\r\n", "HTTP/1.1 405 "},
		{"absolute form", "GET http://localhost/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 "},
		{"HTTP/1.0", "GET /x HTTP/1.0\r\n\r\n", "HTTP/1.0 200 "},
		{"two lengths", "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "HTTP/1.1 400 "},
		{"length and chunks", "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n" +
			"Connection: close\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 200 "},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
			got := newStage(t, a.URL, options{}).raw(t, row.request)
			if !strings.HasPrefix(got, row.want) {
				t.Errorf("got %q, want %q", got, row.want)
			}
			for _, r := range a.requests() {
				if r.URL.Path != "/x" || "http://"+r.Host != a.URL {
					t.Errorf("%s %s arrived at %s", r.Method, r.URL, r.Host)
				}
			}
		})
	}
}

// The API's answer to 100-continue and its other interim answers arrive.
func TestInterimAnswers(t *testing.T) {
	t.Parallel()
	up := newRawAPI(t, func(conn net.Conn, in *bufio.Reader) {
		readHead(in)
		_, _ = io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
	})
	got := newStage(t, up, options{}).raw(t, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n") || !strings.HasSuffix(got, "\r\n\r\nok") {
		t.Errorf("got %q", got)
	}
}
