package proxy_test

import (
	"bufio"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"
)

// What the application says passes as it is; what we say stands once.
func TestAnswerHeaders(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		set  http.Header
		want http.Header
	}{
		{"nothing said", nil, http.Header{
			"Cache-Control": {"no-store"}, "Vary": {"Authorization, Token"}, "X-Request-Id": {"id-1"}}},
		{"caching", http.Header{"Cache-Control": {"private, max-age=5"}, "Etag": {`"x"`}}, http.Header{
			"Cache-Control": {"private, max-age=5"}, "Etag": {`"x"`}}},
		{"its own id", http.Header{"X-Request-Id": {"theirs"}}, http.Header{"X-Request-Id": {"id-1"}}},
		{"vary", http.Header{"Vary": {"Accept"}}, http.Header{"Vary": {"Authorization, Token", "Accept"}}},
		{"cookies and challenge",
			http.Header{"Set-Cookie": {"a=1", "b=2"}, "Www-Authenticate": {`Basic realm="x"`}, "Server": {"app"}},
			http.Header{"Set-Cookie": {"a=1", "b=2"}, "Www-Authenticate": {`Basic realm="x"`}, "Server": {"app"}}},
		{"hop by hop", http.Header{"Connection": {"X-Secret"}, "X-Secret": {"1"}, "Keep-Alive": {"timeout=5"},
			"Upgrade": {"h2c"}},
			http.Header{"X-Secret": nil, "Keep-Alive": nil, "Upgrade": nil}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			app := newApplication(t, func(w http.ResponseWriter, _ *http.Request) {
				for name, values := range row.set {
					w.Header()[name] = values
				}
				_, _ = io.WriteString(w, "ok")
			})
			a := newStage(t, app.addr(), options{}).send(t, http.MethodGet, "/", nil)
			a.want(t, 200, "ok")
			for name, want := range row.want {
				if got := a.Header[name]; !slices.Equal(got, want) {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

// Every answer has the id that stands in the log, and says whose it is, also when others went before it.
func TestInformationalAnswers(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, before string }{
		{"early hints", "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"},
		{"continue", "HTTP/1.1 100 Continue\r\n\r\n"},
		{"processing, twice", "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			address := newRawApplication(t, func(conn net.Conn, in *bufio.Reader) {
				readHead(in)
				_, _ = io.WriteString(conn, row.before+
					"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
			})
			a := newStage(t, address, options{}).send(t, http.MethodGet, "/", nil)
			a.want(t, 200, "ok")
			for name, want := range map[string]string{
				"X-Request-Id": "id-1", "Vary": "Authorization, Token", "Cache-Control": "no-store", "Link": "",
			} {
				if got := strings.Join(a.Header[name], "|"); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestEarlyHintsArriveEarly(t *testing.T) {
	t.Parallel()
	hinted := make(chan struct{})
	app := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		select {
		case <-hinted:
		case <-r.Context().Done():
		}
	})
	s := newStage(t, app.addr(), options{})
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
		if code == http.StatusEarlyHints && header.Get("Link") != "" {
			close(hinted)
		}
		return nil
	}}
	r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Token", "good")
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
}

func TestAnswersWithoutBody(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		method string
		status int
		length string
		want   string
	}{
		{http.MethodGet, http.StatusNoContent, "", ""},
		{http.MethodGet, http.StatusNotModified, "", ""},
		{http.MethodHead, http.StatusOK, "1234", "1234"},
		{http.MethodHead, http.StatusNotFound, "9", "9"},
	} {
		app := newApplication(t, func(w http.ResponseWriter, _ *http.Request) {
			if row.length != "" {
				w.Header().Set("Content-Length", row.length)
			}
			w.WriteHeader(row.status)
		})
		a := newStage(t, app.addr(), options{}).send(t, row.method, "/", nil)
		a.want(t, row.status, "")
		if got := a.Header.Get("Content-Length"); got != row.want {
			t.Errorf("%s %d: length %q, want %q", row.method, row.status, got, row.want)
		}
	}
}

func TestEncodingPassesUnchanged(t *testing.T) {
	t.Parallel()
	var packed strings.Builder
	zip := gzip.NewWriter(&packed)
	_, _ = io.WriteString(zip, strings.Repeat("ok", 1000))
	_ = zip.Close()
	app := newApplication(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, packed.String())
	})
	a := newStage(t, app.addr(), options{}).send(t, http.MethodGet, "/", nil)
	a.want(t, 200, packed.String())
	if r := app.only(t); r.Header["Accept-Encoding"] != nil || a.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("asked for %q, got %q", r.Header["Accept-Encoding"], a.Header.Get("Content-Encoding"))
	}
}

func TestRange(t *testing.T) {
	t.Parallel()
	app := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader("0123456789"))
	})
	a := newStage(t, app.addr(), options{}).send(t, http.MethodGet, "/", nil, "Range", "bytes=2-4")
	a.want(t, http.StatusPartialContent, "234")
	if got := a.Header.Get("Content-Range"); got != "bytes 2-4/10" {
		t.Errorf("range %q", got)
	}
}

func TestTrailersOfAnswers(t *testing.T) {
	t.Parallel()
	app := newApplication(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "ok")
		w.Header().Set("X-Sum", "1")
		w.Header().Set(http.TrailerPrefix+"X-Late", "2")
	})
	a := newStage(t, app.addr(), options{}).send(t, http.MethodGet, "/", nil)
	a.want(t, 200, "ok")
	if a.Trailer.Get("X-Sum") != "1" || a.Trailer.Get("X-Late") != "2" {
		t.Errorf("trailers %v", a.Trailer)
	}
}

// What goes wrong behind is told in four phrases, and in full in the log, under the request's id.
func TestApplicationFails(t *testing.T) {
	t.Parallel()
	silent := func(conn net.Conn, in *bufio.Reader) {
		readHead(in)
		_, _ = in.ReadByte() // until the proxy gives up
	}
	for _, row := range []struct {
		name   string
		serve  func(conn net.Conn, in *bufio.Reader) // nil: nobody is there
		status int
		body   string
	}{
		{"down", nil, 502, "the application cannot be reached\n"},
		{"hangs up", func(_ net.Conn, in *bufio.Reader) { readHead(in) }, 502, "the application cannot be reached\n"},
		{"hangs up in the headers", answering("HTTP/1.1 200 OK\r\nContent-"), 502,
			"the application cannot be reached\n"},
		{"does not speak HTTP", answering("secret of the application\r\n\r\n"), 502,
			"the application cannot be reached\n"},
		{"two lengths", answering("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), 502,
			"the application cannot be reached\n"},
		{"never answers", silent, 504, "the application does not answer\n"},
		{"answers half a header and stops", func(conn net.Conn, in *bufio.Reader) {
			readHead(in)
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nX-")
			_, _ = in.ReadByte()
		}, 504, "the application does not answer\n"},
		{"switches to what nobody asked for",
			answering("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
			502, "the application cannot be reached\n"},
		{"switches to nothing", answering("HTTP/1.1 101 Switching Protocols\r\n\r\n"), 502,
			"the application cannot be reached\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			address := "127.0.0.1:1"
			if row.serve != nil {
				address = newRawApplication(t, row.serve)
			}
			s := newStage(t, address, options{timeout: 100 * time.Millisecond})
			a := s.send(t, http.MethodGet, "/", nil)
			a.want(t, row.status, row.body)
			if got := a.Header["Cache-Control"]; !slices.Equal(got, []string{"no-store"}) ||
				a.Header.Get("X-Request-Id") != "id-1" {
				t.Errorf("headers %v", a.Header)
			}
			if log := s.log.String(); !strings.Contains(log, "request_id=id-1") || !strings.Contains(log, "cause=") {
				t.Errorf("log %q", log)
			}
		})
	}
}

// answering sends this text to whoever asks, and hangs up.
func answering(text string) func(net.Conn, *bufio.Reader) {
	return func(conn net.Conn, in *bufio.Reader) {
		readHead(in)
		_, _ = io.WriteString(conn, text)
	}
}

// An answer that breaks off must not look complete.
func TestAnswerBreaksOff(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, text string }{
		{"by length", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"},
		{"by chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"},
		{"inside a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf"},
		{"after much", "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 100_000)},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, newRawApplication(t, answering(row.text)), options{})
			a, err := s.try(t, http.MethodGet, "/", nil)
			if err == nil && a.err == nil {
				t.Errorf("got a complete answer of %d octets", len(a.body))
			}
			if log := s.log.String(); !strings.Contains(log, "request_id=id-1") {
				t.Errorf("the log does not say which request: %q", log)
			}
		})
	}
}
