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

// nothing but a reader: its length is not known, so that it is sent in chunks.
type stream struct{ io.Reader }

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		body   io.Reader
		status int
	}{
		{"above by length", strings.NewReader(strings.Repeat("x", 1001)), 413},
		{"above by chunks", stream{strings.NewReader(strings.Repeat("x", 1001))}, 413},
		{"far above by length", strings.NewReader(strings.Repeat("x", 1<<20)), 413},
		{"far above by chunks", stream{strings.NewReader(strings.Repeat("x", 1<<20))}, 413},
		{"at the limit by length", strings.NewReader(strings.Repeat("x", 1000)), 200},
		{"at the limit by chunks", stream{strings.NewReader(strings.Repeat("x", 1000))}, 200},
		{"empty", strings.NewReader(""), 200},
		{"empty by chunks", stream{strings.NewReader("")}, 200},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			app := newApplication(t, nil)
			s := newStage(t, app.addr(), options{maxBody: 1000})
			a, err := s.try(t, http.MethodPost, "/", row.body)
			if err != nil {
				if row.status == 413 && strings.HasPrefix(row.name, "far above") {
					return // the connection was closed while the caller went on sending: it had no time to read why
				}
				t.Fatal(err)
			}
			if row.status == 200 {
				a.want(t, 200, "ok")
				return
			}
			a.want(t, 413, "the request is too large\n")
			app.Close() // waits for the handler
			for _, r := range app.requests() {
				if r.err == nil {
					t.Errorf("a complete body of %d octets arrived", len(r.body))
				}
			}
		})
	}
}

// A length above the limit is refused before a byte of the body is read, also for a caller who waits to be told to
// go on.
func TestBodyLimitBeforeTheBody(t *testing.T) {
	t.Parallel()
	app := newApplication(t, nil)
	s := newStage(t, app.addr(), options{maxBody: 1000, server: short})
	got := s.raw(t, "POST / HTTP/1.1\r\nHost: h\r\nToken: good\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 413 ") {
		t.Errorf("answer %q", got)
	}
	app.wantNothing(t)
}

func TestExpectContinue(t *testing.T) {
	t.Parallel()
	app := newApplication(t, nil)
	s := newStage(t, app.addr(), options{})
	conn := s.dial(t)
	in := bufio.NewReader(conn)
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: h\r\nToken: good\r\nConnection: close\r\n"+
		"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
	if head := readHead(in); statusOf(head) != "HTTP/1.1 100 Continue" {
		t.Fatalf("answer %q", head)
	}
	_, _ = io.WriteString(conn, "abc")
	head := readHead(in)
	for statusOf(head) == "HTTP/1.1 100 Continue" { // the application's own
		head = readHead(in)
	}
	if statusOf(head) != "HTTP/1.1 200 OK" || !strings.Contains(strings.Join(head, "\n"), "X-Request-Id: id-1") {
		t.Errorf("answer %q", head)
	}
	if r := app.only(t); r.body != "abc" || r.err != nil {
		t.Errorf("body %q, %v", r.body, r.err)
	}
}

// What has come goes on at once, in both directions: neither body is collected.
func TestBodiesFlow(t *testing.T) {
	t.Parallel()
	address := newRawApplication(t, func(conn net.Conn, in *bufio.Reader) {
		readHead(in)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
		for {
			size, err := in.ReadString('\n')
			line, _ := in.ReadString('\n')
			if err != nil || size == "0\r\n" {
				break
			}
			end, _ := in.ReadString('\n')
			fmt.Fprint(conn, size, line, end)
		}
		_, _ = io.WriteString(conn, "0\r\n\r\n")
	})
	s := newStage(t, address, options{})
	conn := s.dial(t)
	in := bufio.NewReader(conn)
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: h\r\nToken: good\r\nTransfer-Encoding: chunked\r\n\r\n")
	for i := range 3 {
		_, _ = io.WriteString(conn, "5\r\npart\n\r\n")
		if i == 0 && statusOf(readHead(in)) != "HTTP/1.1 200 OK" {
			t.Fatal("no answer")
		}
		wantLine(t, in, "5\r\n")
		wantLine(t, in, "part\n")
		wantLine(t, in, "\r\n")
	}
	_, _ = io.WriteString(conn, "0\r\n\r\n")
	wantLine(t, in, "0\r\n")
}

// The first event arrives while the application is still at work, whatever type and length it declares.
func TestEventsArriveAtOnce(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, typ, length string }{
		{"events", "text/event-stream", ""},
		{"another stream", "application/x-ndjson", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			read := make(chan struct{})
			app := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", row.typ)
				for _, event := range []string{"data: 1\n", "data: 2\n"} {
					_, _ = io.WriteString(w, event)
					_ = http.NewResponseController(w).Flush()
					select {
					case <-read:
					case <-r.Context().Done():
						return
					}
				}
			})
			s := newStage(t, app.addr(), options{})
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Token", "good")
			resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			in := bufio.NewReader(resp.Body)
			for _, want := range []string{"data: 1\n", "data: 2\n"} {
				wantLine(t, in, want)
				read <- struct{}{}
			}
			wantEnd(t, in)
		})
	}
}

// An application that has heard enough answers before the body has ended.
func TestApplicationAnswersEarly(t *testing.T) {
	t.Parallel()
	address := newRawApplication(t, func(conn net.Conn, in *bufio.Reader) {
		readHead(in)
		_, _ = io.WriteString(conn, "HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
		_, _ = io.Copy(io.Discard, in)
	})
	s := newStage(t, address, options{patience: short})
	conn := s.dial(t)
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: h\r\nToken: good\r\nContent-Length: 100\r\n\r\nbegin")
	in := bufio.NewReader(conn)
	if head := readHead(in); statusOf(head) != "HTTP/1.1 409 Conflict" {
		t.Fatalf("answer %q", head)
	}
	_, _ = io.ReadFull(in, make([]byte, len("no")))
	// What the caller sends now is still the body, and never a request of its own.
	_, _ = io.WriteString(conn, "GET /admin HTTP/1.1\r\nHost: h\r\nX: ")
	if more, _ := readAll(in); more != "" {
		t.Errorf("another answer %q", more)
	}
}

// The application learns that the caller has gone, and stops.
func TestCallerGoes(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, request string }{
		{"while it waits", "GET / HTTP/1.1\r\nHost: h\r\nToken: good\r\n\r\n"},
		{"after the body", "POST / HTTP/1.1\r\nHost: h\r\nToken: good\r\nContent-Length: 3\r\n\r\nabc"},
		{"inside the body", "POST / HTTP/1.1\r\nHost: h\r\nToken: good\r\nContent-Length: 100\r\n\r\nabc"},
		{"inside a chunk", "POST / HTTP/1.1\r\nHost: h\r\nToken: good\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			arrived, ended := make(chan struct{}, 1), make(chan struct{}, 1)
			address := newRawApplication(t, func(_ net.Conn, in *bufio.Reader) {
				readHead(in)
				arrived <- struct{}{}
				_, _ = io.Copy(io.Discard, in)
				ended <- struct{}{}
			})
			s := newStage(t, address, options{})
			conn := s.dial(t)
			_, _ = io.WriteString(conn, row.request)
			wantSoon(t, "the request", arrived)
			_ = conn.Close()
			wantSoon(t, "the application's end", ended)
		})
	}
}

const (
	short = 250 * time.Millisecond // for which one step may take
	steps = 8                      // of a third of it each: together longer than the server gives a whole request
)

// The server's own limits are for whole requests. What flows may take longer, both ways.
func TestFlowingStreamsSurvive(t *testing.T) {
	t.Parallel()
	app := newApplication(t, func(w http.ResponseWriter, _ *http.Request) {
		for range steps {
			_, _ = io.WriteString(w, "part\n")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(short / 3)
		}
	})
	s := newStage(t, app.addr(), options{patience: short, server: short})
	upload, source := io.Pipe()
	go func() {
		for range steps {
			_, _ = io.WriteString(source, "part\n")
			time.Sleep(short / 3)
		}
		_ = source.Close()
	}()
	a := s.send(t, http.MethodPost, "/", upload)
	a.want(t, 200, strings.Repeat("part\n", steps))
	if r := app.only(t); r.err != nil || r.body != strings.Repeat("part\n", steps) {
		t.Errorf("body %q, %v", r.body, r.err)
	}
}

// An application may think for longer than the server gives a whole request.
func TestSlowAnswerSurvives(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "body"} {
		app := newApplication(t, func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(2 * short)
			_, _ = io.WriteString(w, "ok")
		})
		s := newStage(t, app.addr(), options{patience: short, server: short / 2})
		s.send(t, http.MethodPost, "/", strings.NewReader(body)).want(t, 200, "ok")
	}
}

// A caller who stops sending is cut off, and it is not the application's fault.
func TestStuckUploadIsCut(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, request string }{
		{"by length", "Content-Length: 100\r\n\r\nabc"},
		{"by chunks", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			app := newApplication(t, nil)
			s := newStage(t, app.addr(), options{patience: short})
			start := time.Now()
			got := s.raw(t, "POST / HTTP/1.1\r\nHost: h\r\nToken: good\r\n"+row.request)
			if status, _, _ := strings.Cut(got, "\r\n"); status != "HTTP/1.1 408 Request Timeout" {
				t.Errorf("answer %q", status)
			}
			if took := time.Since(start); took > 20*short {
				t.Errorf("after %v", took)
			}
		})
	}
}

// Nor does a caller get a connection for ever by sending too much and then nothing.
func TestStuckAfterTooMuchIsCut(t *testing.T) {
	t.Parallel()
	app := newApplication(t, nil)
	s := newStage(t, app.addr(), options{patience: short, server: short, maxBody: 10})
	got := s.raw(t,
		"POST / HTTP/1.1\r\nHost: h\r\nToken: good\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n12345678901234567890\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 413") {
		t.Errorf("answer %q", got)
	}
}

// A caller who stops reading is cut off, and the application with them.
func TestStuckDownloadIsCut(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 1)
	address := newRawApplication(t, func(conn net.Conn, in *bufio.Reader) {
		readHead(in)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
		part := make([]byte, 1<<16)
		for err := error(nil); err == nil; {
			_, err = conn.Write(part)
		}
		ended <- struct{}{}
	})
	s := newStage(t, address, options{patience: short})
	conn := s.dial(t)
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\nToken: good\r\n\r\n")
	wantSoon(t, "the application's end", ended)
}

// An application that stops in the middle of an answer is cut off, and the caller sees that it is not all.
func TestStuckAnswerIsCut(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, text string }{
		{"by length", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"},
		{"by chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			address := newRawApplication(t, func(conn net.Conn, in *bufio.Reader) {
				readHead(in)
				_, _ = io.WriteString(conn, row.text)
				_, _ = in.ReadByte()
			})
			s := newStage(t, address, options{patience: short})
			start := time.Now()
			got := s.raw(t, "GET / HTTP/1.1\r\nHost: h\r\nToken: good\r\nConnection: close\r\n\r\n")
			if took := time.Since(start); took > 20*short || strings.HasSuffix(got, "0\r\n\r\n") {
				t.Errorf("after %v %q", took, got)
			}
		})
	}
}

// An application that takes nothing more of a body is cut off too: else whoever uploads to it leaves a connection, and
// what it costs, behind for ever.
func TestApplicationStopsReading(t *testing.T) {
	t.Parallel()
	address := newRawApplication(t, func(_ net.Conn, in *bufio.Reader) {
		readHead(in)
		<-t.Context().Done()
	})
	s := newStage(t, address, options{patience: short, timeout: short, maxBody: 1 << 30})
	answered := make(chan *answer, 1)
	go func() {
		a, _ := s.try(t, http.MethodPost, "/", io.LimitReader(zeros{}, 1<<28))
		answered <- a
	}()
	select {
	case a := <-answered:
		if a != nil && a.StatusCode != http.StatusGatewayTimeout {
			t.Errorf("status %d", a.StatusCode)
		}
	case <-time.After(20 * short):
		t.Error("the caller waits for ever")
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
