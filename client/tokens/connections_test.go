package tokens

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// The HTTP/2 connection of a request that has just been given up is not idle, and ends all the same.
func TestConnectionsEndWithContext(t *testing.T) {
	t.Parallel()
	var open atomic.Int64
	began := make(chan string, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		began <- r.Proto
		<-r.Context().Done()
	}))
	server.EnableHTTP2 = true
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		}
	}
	server.StartTLS()
	defer server.Close()
	usual, isTransport := server.Client().Transport.(*http.Transport)
	if !isTransport {
		t.Fatal("no transport")
	}
	ctx, cancel := context.WithCancel(t.Context())
	transport := usual.Clone()
	closeWith(ctx, transport)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		resp, err := transport.RoundTrip(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		done <- err
	}()
	if proto := <-began; proto != "HTTP/2.0" {
		t.Errorf("by %s, which is not what this test is about", proto)
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("an answer from a server that gave none")
	}
	for deadline := time.Now().Add(10 * time.Second); open.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the connection is open still")
		}
	}
}
