package proxy_test

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// An event arrives before the answer ends.
func TestEventsArriveAtOnce(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		head http.Header
	}{
		{"server-sent events", http.Header{"Content-Type": {"text/event-stream"}}},
		{"of a known length", http.Header{"Content-Length": {"6"}}},
		{"of any type", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			arrived := make(chan struct{})
			a := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
				for name, values := range row.head {
					w.Header()[name] = values
				}
				for range 3 {
					_, _ = io.WriteString(w, "e\n")
					_ = http.NewResponseController(w).Flush()
					select {
					case <-arrived:
					case <-r.Context().Done():
						return
					}
				}
			})
			resp, err := newStage(t, a.URL, options{}).begin(t, http.MethodGet, "/", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			in := bufio.NewReader(resp.Body)
			for i := range 3 {
				if line, err := in.ReadString('\n'); line != "e\n" {
					t.Fatalf("event %d: %q %v", i, line, err)
				}
				arrived <- struct{}{}
			}
			if rest, err := io.ReadAll(in); err != nil || len(rest) != 0 {
				t.Errorf("the end: %q %v", rest, err)
			}
		})
	}
}

// The API sees the beginning of a body while the rest has not been written, and the program the beginning of the answer:
// a conversation, in which each side waits for the other.
func TestConversation(t *testing.T) {
	t.Parallel()
	a := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		for in := bufio.NewReader(r.Body); ; {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = io.WriteString(w, "heard "+line)
			_ = control.Flush()
		}
	})
	body, speak := io.Pipe()
	defer speak.Close()
	giveUp := time.AfterFunc(20*time.Second, func() { _ = speak.Close() })
	defer giveUp.Stop()
	answer := make(chan *http.Response, 1)
	s := newStage(t, a.URL, options{})
	go func() {
		defer close(answer)
		resp, err := s.begin(t, http.MethodPost, "/", body)
		if err != nil {
			t.Errorf("no answer: %v", err)
			return
		}
		answer <- resp
	}()
	_, _ = io.WriteString(speak, "0\n")
	resp, ok := <-answer
	if !ok {
		return
	}
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	for i := range 5 {
		if line, err := in.ReadString('\n'); line != fmt.Sprintf("heard %d\n", i) {
			t.Fatalf("line %d: %q %v", i, line, err)
		}
		_, _ = fmt.Fprintf(speak, "%d\n", i+1)
	}
}

// An API that begins to answer while it still reads gets the whole body.
func TestEarlyAnswerTakesNothingOfTheBody(t *testing.T) {
	t.Parallel()
	const size = 64 << 20 // more than is on the way at once
	sum := make(chan string, 1)
	a := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		_, _ = io.WriteString(w, "begun\n")
		_ = control.Flush()
		hash := sha256.New()
		n, err := io.Copy(hash, r.Body)
		sum <- fmt.Sprintf("%d %x %v", n, hash.Sum(nil), err)
	})
	s := newStage(t, a.URL, options{})
	hash := sha256.New()
	_, _ = io.CopyN(hash, pattern{}, size)
	want := fmt.Sprintf("%d %x %v", size, hash.Sum(nil), error(nil))
	s.send(t, http.MethodPost, "/", io.LimitReader(pattern{}, size)).want(t, 200, "begun\n")
	if got := <-sum; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// An API that wants nothing of a body says so, and the program hears it.
func TestEarlyRefusal(t *testing.T) {
	t.Parallel()
	up := newRawAPI(t, func(conn net.Conn, in *bufio.Reader) {
		readHead(in)
		_, _ = io.WriteString(conn, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\n\r\ntoo much")
		_, _ = io.Copy(io.Discard, in) // so that nothing is reset on this side
	})
	body := strings.NewReader(strings.Repeat("x", 64<<20)) // more than is on the way at once
	newStage(t, up, options{}).send(t, http.MethodPost, "/", body).want(t, 413, "too much")
}

// A body that was not read does not spoil the next request: the connection is closed, and one that was read keeps it.
func TestConnectionAfterABody(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		reads bool
	}{{"read", true}, {"not read", false}} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			upstream := nobody(t)
			if row.reads {
				upstream = newAPI(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }).URL
			}
			s := newStage(t, upstream, options{})
			for range 20 {
				got := s.send(t, http.MethodPost, "/", strings.NewReader("body"))
				if got.Close == row.reads {
					t.Errorf("the connection is closed: %v", got.Close)
				}
			}
		})
	}
}

// pattern is text without end.
type pattern struct{}

func (pattern) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i * 7)
	}
	return len(p), nil
}

// Bodies may be larger than anybody would keep: what has been read is not kept until the rest is there.
func TestBodiesFlow(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	for _, kind := range []string{"length", "chunks"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
				n, err := io.Copy(io.Discard, r.Body)
				w.Header().Set("X-Got", fmt.Sprint(n, err))
				if kind == "length" {
					w.Header().Set("Content-Length", fmt.Sprint(size))
				}
				_, _ = io.CopyN(w, pattern{}, size)
			})
			s := newStage(t, a.URL, options{})
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL, io.LimitReader(pattern{}, size))
			if err != nil {
				t.Fatal(err)
			}
			if kind == "length" {
				r.ContentLength = size
			}
			resp, err := s.caller.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
				t.Errorf("%d octets came back: %v", n, err)
			}
			if got := resp.Header.Get("X-Got"); got != fmt.Sprint(size, error(nil)) {
				t.Errorf("the API got %s", got)
			}
		})
	}
}

// The server's own limits are for requests, and are shorter than streams.
func TestStreamsOutliveTheServersLimits(t *testing.T) {
	t.Parallel()
	const limit, pause, pieces = 300 * time.Millisecond, 100 * time.Millisecond, 10
	drip := func(w io.Writer, flush func()) {
		for range pieces {
			_, _ = io.WriteString(w, "x")
			flush()
			time.Sleep(pause) // the time that passes is what is tested
		}
	}
	a := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if r.URL.Path == "/slow" { // to begin with
			time.Sleep(2 * limit)
		}
		if r.URL.Path == "/down" {
			drip(w, func() { _ = http.NewResponseController(w).Flush() })
			return
		}
		_, _ = fmt.Fprint(w, len(text), err)
	})
	s := newStage(t, a.URL, options{server: limit})
	t.Run("up", func(t *testing.T) {
		t.Parallel()
		body, w := io.Pipe()
		go func() { drip(w, func() {}); _ = w.Close() }()
		s.send(t, http.MethodPost, "/up", body).want(t, 200, fmt.Sprint(pieces, error(nil)))
	})
	t.Run("down", func(t *testing.T) {
		t.Parallel()
		s.send(t, http.MethodGet, "/down", nil).want(t, 200, strings.Repeat("x", pieces))
	})
	t.Run("slow to begin", func(t *testing.T) {
		t.Parallel()
		s.send(t, http.MethodGet, "/slow", nil).want(t, 200, fmt.Sprint(0, error(nil)))
	})
}
