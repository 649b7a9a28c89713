package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestParseAnswer(t *testing.T) {
	tests := []struct {
		name, answer string
		status       int
		body         string
		complete     bool
		err          error
	}{
		{"nothing", "", 0, "", false, nil},
		{"half a head", "HTTP/1.1 200 OK\r\nContent-Len", 0, "", false, nil},
		{"no length", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0, "", false, errHead},
		{"no status", "HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 0, "", false, errHead},
		{"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo", 200, "bo", false, nil},
		{"whole", "HTTP/1.1 401 Unauthorized\r\nDate: now\r\nContent-Length: 4\r\nA: b\r\n\r\nbody", 401, "body", true, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, body, complete, err := parseAnswer([]byte(tt.answer))
			if status != tt.status || string(body) != tt.body || complete != tt.complete || !errors.Is(err, tt.err) {
				t.Errorf("got %d %q %v %v", status, body, complete, err)
			}
		})
	}
}

func requestsOf(n int) [][]byte {
	requests := make([][]byte, n)
	for i := range requests {
		requests[i] = post("", "n="+strings.Repeat("x", i))
	}
	return requests
}

// openTo starts a server and connects to it.
func openTo(t *testing.T, connections int, busy bool, handler http.HandlerFunc) *driver {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	d, err := open(server.Listener.Addr().String(), connections, busy)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	return d
}

func grant(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"access_token":"x"}`) }

func TestDriveSendsEachRequestOnce(t *testing.T) {
	for _, connections := range []int{1, 3, 16} {
		for _, busy := range []bool{false, true} {
			const n = 10
			var mu sync.Mutex
			seen := make(map[int64]int)
			d := openTo(t, connections, busy, func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				seen[r.ContentLength]++
				mu.Unlock()
				grant(w)
			})
			latencies, err := d.drive(t.Context(), requestsOf(n))
			if err != nil {
				t.Fatal(err)
			}
			if len(latencies) != n || len(seen) != n {
				t.Errorf("%d connections: %d latencies, %d different requests", connections, len(latencies), len(seen))
			}
		}
	}
}

func TestDriveMeasuresFromRequestToAnswer(t *testing.T) {
	const pause = 20 * time.Millisecond
	d := openTo(t, 1, false, func(w http.ResponseWriter, r *http.Request) {
		<-time.After(pause) // what is measured is time itself
		grant(w)
	})
	latencies, err := d.drive(t.Context(), requestsOf(2))
	if err != nil {
		t.Fatal(err)
	}
	for _, latency := range latencies {
		if latency < pause || latency > silence {
			t.Errorf("latency %v, want at least %v", latency, pause)
		}
	}
}

func TestDriveRefuses(t *testing.T) {
	tests := []struct {
		name    string
		handler func(http.ResponseWriter, int64)
		want    string
	}{
		{"refusals", func(w http.ResponseWriter, n int64) {
			if n >= 3 {
				w.WriteHeader(http.StatusTooManyRequests)
			}
			grant(w)
		}, `3 answers are no tokens; the first: status 429: {"access_token":"x"}`},
		{"200 without a token", func(w http.ResponseWriter, n int64) {
			if n == 5 {
				_, _ = io.WriteString(w, "{}")
				return
			}
			grant(w)
		}, "1 answers are no tokens; the first: status 200: {}"},
		{"a connection that breaks", func(w http.ResponseWriter, n int64) {
			if n == 4 {
				panic(http.ErrAbortHandler)
			}
			grant(w)
		}, "receiving: unexpected EOF"},
		{"an endless answer", func(w http.ResponseWriter, n int64) {
			_, _ = io.WriteString(w, strings.Repeat("x", 64<<10))
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var count atomic.Int64
			d := openTo(t, 1, false, func(w http.ResponseWriter, _ *http.Request) { tt.handler(w, count.Add(1)) })
			_, err := d.drive(t.Context(), requestsOf(5))
			if err == nil || (tt.want != "" && err.Error() != tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestDriveEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	defer close(release)
	d := openTo(t, 2, false, func(http.ResponseWriter, *http.Request) {
		cancel()
		<-release
	})
	if _, err := d.drive(ctx, requestsOf(5)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	address := server.Listener.Addr().String()
	server.Close()
	if _, err := open(address, 2, false); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
}
