//go:build linux

package drive_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.com/signet/scripts/bench/internal/drive"
)

func requestsOf(n int) [][]byte {
	requests := make([][]byte, n)
	for i := range requests {
		requests[i] = fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", i, strings.Repeat("x", i))
	}
	return requests
}

// openTo starts a server and connects to it.
func openTo(t *testing.T, connections int, busy bool, handler http.HandlerFunc) *drive.Driver {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	d, err := drive.Open(server.Listener.Addr().String(), connections, busy)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func grant(w http.ResponseWriter) { _, _ = io.WriteString(w, "granted") }

func isGrant(status int, body []byte) bool {
	return status == http.StatusOK && string(body) == "granted"
}

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
			latencies, err := d.Drive(t.Context(), requestsOf(n), isGrant)
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
	latencies, err := d.Drive(t.Context(), requestsOf(2), isGrant)
	if err != nil {
		t.Fatal(err)
	}
	for _, latency := range latencies {
		if latency < pause || latency > drive.Silence {
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
		}, "3 answers are wrong; the first: status 429: granted"},
		{"another body", func(w http.ResponseWriter, n int64) {
			if n == 5 {
				_, _ = io.WriteString(w, "{}")
				return
			}
			grant(w)
		}, "1 answers are wrong; the first: status 200: {}"},
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
			_, err := d.Drive(t.Context(), requestsOf(5), isGrant)
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
	if _, err := d.Drive(ctx, requestsOf(5), isGrant); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	address := server.Listener.Addr().String()
	server.Close()
	if _, err := drive.Open(address, 2, false); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
}
