package proxy_test

import (
	"bufio"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestAnswersPass(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		method string
		status int
		set    http.Header
		body   string
	}{
		{"empty", "GET", 200, nil, ""},
		{"not found", "GET", 404, http.Header{"Content-Type": {"text/x-test"}}, "no such order"},
		{"server error", "GET", 500, nil, "oops"},
		{"odd status", "GET", 599, nil, "odd"},
		{"no content", "DELETE", 204, nil, ""},
		{"not modified", "GET", 304, http.Header{"Etag": {`"7"`}}, ""},
		{"HEAD with a length", "HEAD", 200, http.Header{"Content-Length": {"123456"}}, ""},
		{"range", "GET", 206, http.Header{"Content-Range": {"bytes 0-1/9"}}, "ab"},
		{"cookies and caching", "GET", 200, http.Header{"Set-Cookie": {"a=1", "b=2"}, "Cache-Control": {"max-age=5"}, "Vary": {"Accept"}}, "x"},
		{"a challenge that is not about the token", "GET", 401, http.Header{"Www-Authenticate": {`Bearer error="insufficient_scope"`}}, "no"},
		{"busy", "GET", 503, http.Header{"Retry-After": {"77"}}, "later"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t, func(w http.ResponseWriter, _ *http.Request) {
				for name, values := range row.set {
					w.Header()[name] = values
				}
				w.WriteHeader(row.status)
				_, _ = io.WriteString(w, row.body)
			})
			got := newStage(t, a.URL, options{}).send(t, row.method, "/", nil)
			got.want(t, row.status, row.body)
			for name, want := range row.set {
				if !slices.Equal(got.Header[name], want) {
					t.Errorf("%s: %q, want %q", name, got.Header[name], want)
				}
			}
			a.only(t)
		})
	}
}

func TestHopByHopHeadersOfAnswers(t *testing.T) {
	t.Parallel()
	up := saying(t, "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\n"+
		"Upgrade: h2c\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nok")
	got := newStage(t, up, options{}).send(t, http.MethodGet, "/", nil)
	got.want(t, 200, "ok")
	for _, name := range []string{"X-Hop", "Keep-Alive", "Proxy-Authenticate", "Upgrade"} {
		if got.Header[name] != nil {
			t.Errorf("%s: %q", name, got.Header[name])
		}
	}
	if got.Header.Get("X-Kept") != "1" {
		t.Errorf("another header is missing: %v", got.Header)
	}
}

// What is compressed stays so, and nothing is that was not asked for.
func TestEncodingPassesUnchanged(t *testing.T) {
	t.Parallel()
	var packed strings.Builder
	zipper := gzip.NewWriter(&packed)
	_, _ = io.WriteString(zipper, strings.Repeat("hello ", 1000))
	_ = zipper.Close()
	for _, accept := range []string{"", "gzip", "br;q=1, gzip;q=0.5"} {
		a := newAPI(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, packed.String())
		})
		var headers []string
		if accept != "" {
			headers = []string{"Accept-Encoding", accept}
		}
		got := newStage(t, a.URL, options{}).send(t, http.MethodGet, "/", nil, headers...)
		got.want(t, 200, packed.String())
		if got.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("Content-Encoding is %q", got.Header.Get("Content-Encoding"))
		}
		if asked := a.only(t).Header.Get("Accept-Encoding"); asked != accept {
			t.Errorf("the API was asked for %q, want %q", asked, accept)
		}
	}
}

func TestTrailersOfAnswers(t *testing.T) {
	t.Parallel()
	a := newAPI(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "body")
		w.Header().Set("X-Sum", "7")
		w.Header().Set(http.TrailerPrefix+"X-Unannounced", "8")
	})
	got := newStage(t, a.URL, options{}).send(t, http.MethodGet, "/", nil)
	got.want(t, 200, "body")
	if got.Trailer.Get("X-Sum") != "7" || got.Trailer.Get("X-Unannounced") != "8" {
		t.Errorf("trailers: %v", got.Trailer)
	}
}

// A redirect within the API comes back here, where the program gets its token; any other means what it meant.
func TestRedirects(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, base, location, want string }{
		{"path", "", "/orders", "/orders"},
		{"path, query and fragment", "", "/orders?a=1;b=2#x%2Fy", "/orders?a=1;b=2#x%2Fy"},
		{"in full", "", "API/orders", "/orders"},
		{"the API itself", "", "API", "/"},
		{"relative", "", "next", "/a/next"},
		{"relative, one up", "", "../next", "/next"},
		{"query alone", "", "?page=2", "/a/b?page=2"},
		{"escaped", "", "/a%2Fb%20c", "/a%2Fb%20c"},
		{"base path", "/api", "/api/orders", "/orders"},
		{"base path in full", "/api", "API/api/orders?x=1", "/orders?x=1"},
		{"base path itself", "/api", "/api", "/"},
		{"base path with a slash", "/api/", "/api/orders", "/orders"},
		{"relative to the base path", "/api", "next", "/a/next"},
		{"beside the base path", "/api", "/login", "API/login"},
		{"beside, beginning alike", "/api", "/apiary", "API/apiary"},
		{"out of the base path", "/api", "../../login", "API/login"},
		{"another host", "", "http://evil.example/orders", "http://evil.example/orders"},
		{"another host without scheme", "", "//evil.example/orders", "http://evil.example/orders"},
		{"another host behind the base path", "/api", "/api//evil.example/", "/evil.example/"},
		{"another host behind a backslash", "/api", `/api/\evil.example/`, "/%5Cevil.example/"},
		{"another scheme", "", "https://127.0.0.1/orders", "https://127.0.0.1/orders"},
		{"another port", "", "http://127.0.0.1:1/orders", "http://127.0.0.1:1/orders"},
		{"with a user", "", "http://u@evil.example/", "http://u@evil.example/"},
		{"no URL", "", "http://[evil/", "http://[evil/"},
		{"mail", "", "mailto:someone@example.com", "mailto:someone@example.com"},
		{"empty", "", "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			var a *api
			a = newAPI(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Location"] = []string{strings.Replace(row.location, "API", a.URL, 1)}
				w.WriteHeader(http.StatusFound)
			})
			got := newStage(t, a.URL+row.base, options{}).send(t, http.MethodGet, "/a/b", nil)
			if location, want := got.Header.Get("Location"), strings.Replace(row.want, "API", a.URL, 1); location != want || got.StatusCode != 302 {
				t.Errorf("got %d %q, want %q", got.StatusCode, location, want)
			}
			if len(a.requests()) != 1 {
				t.Errorf("%d requests: the redirect was followed", len(a.requests()))
			}
		})
	}
}

// An answer that breaks off must not look whole, whatever says how long it is.
func TestAnswerBreaksOff(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, answer string }{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"},
		{"within a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf"},
		{"no chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{"no chunk at all", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhalf\r\n"},
		{"with trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n4\r\nhalf\r\n0\r\nX-S"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, saying(t, row.answer), options{})
			a, err := s.try(t, http.MethodGet, "/", nil)
			if err == nil && a.err == nil {
				t.Errorf("looks whole: %d %q", a.StatusCode, a.body)
			}
		})
	}
}

func TestAPIFailsBeforeItsAnswer(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, api string }{
		{"nobody listens", nobody(t)},
		{"closes", saying(t, "")},
		{"closes within the header", saying(t, "HTTP/1.1 200 OK\r\nContent-Le")},
		{"no HTTP", saying(t, "SSH-2.0-OpenSSH_9.9\r\n\r\n")},
		{"two lengths", saying(t, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")},
		{"resets", newRawAPI(t, func(conn net.Conn, in *bufio.Reader) {
			readHead(in)
			_ = conn.(*net.TCPConn).SetLinger(0)
		})},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, row.api, options{})
			for _, method := range []string{"GET", "POST"} {
				s.send(t, method, "/", strings.NewReader("body")).want(t, 502, "the API cannot be reached\n")
			}
			if !strings.Contains(s.log.String(), "passing on failed") {
				t.Errorf("the log has nothing of it: %s", s.log)
			}
		})
	}
}
