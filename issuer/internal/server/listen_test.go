package server_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/signet/issuer/internal/server"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// A stop lets the request in flight finish, takes no new ones, and is clean.
func TestServeStops(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	entered, release := make(chan struct{}), make(chan struct{})
	slow := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "finished")
	})
	first, second := listen(t), listen(t)
	stopping, served := make(chan struct{}), make(chan error, 1)
	go func() {
		served <- server.Serve(ctx, slog.New(slog.DiscardHandler), server.Stop{Announce: func() { close(stopping) }, Grace: time.Minute},
			server.Site{Listener: first, Handler: slow}, server.Site{Listener: second, Handler: http.NotFoundHandler()})
	}()
	body := make(chan string, 1)
	go func() {
		response, err := http.Get("http://" + first.Addr().String())
		if err != nil {
			body <- err.Error()
			return
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		body <- string(text)
	}()
	<-entered
	stop()
	<-stopping
	select {
	case err := <-served:
		t.Fatalf("stopped with a request in flight: %v", err)
	default:
	}
	close(release)
	if got := <-body; got != "finished" {
		t.Errorf("request in flight: %q", got)
	}
	if err := <-served; err != nil {
		t.Errorf("clean stop: %v", err)
	}
	for _, listener := range []net.Listener{first, second} {
		if conn, err := net.Dial("tcp", listener.Addr().String()); err == nil {
			conn.Close()
			t.Errorf("%v still listens", listener.Addr())
		}
	}
}

func TestServeStopsWithoutGrace(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	entered, release := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(release) })
	stuck := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-release
	})
	listener := listen(t)
	served := make(chan error, 1)
	go func() {
		served <- server.Serve(ctx, slog.New(slog.DiscardHandler), server.Stop{Announce: func() {}, Grace: time.Millisecond}, server.Site{Listener: listener, Handler: stuck})
	}()
	ended := make(chan error, 1)
	go func() {
		response, err := http.Get("http://" + listener.Addr().String())
		if err == nil {
			response.Body.Close()
		}
		ended <- err
	}()
	<-entered
	stop()
	if err := <-served; !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "stopping: ") {
		t.Errorf("error %v", err)
	}
	select { // the connection is cut, not left to the process's end
	case err := <-ended:
		if err == nil {
			t.Error("the request that was cut off got an answer")
		}
	case <-time.After(10 * time.Second):
		t.Error("the request that did not finish was not cut off")
	}
}

func TestServeListenerFails(t *testing.T) {
	t.Parallel()
	broken, other := listen(t), listen(t)
	broken.Close()
	err := server.Serve(t.Context(), slog.New(slog.DiscardHandler), server.Stop{Announce: func() {}, Grace: time.Second},
		server.Site{Listener: broken, Handler: http.NotFoundHandler()}, server.Site{Listener: other, Handler: http.NotFoundHandler()})
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("error %v", err)
	}
	if conn, err := net.Dial("tcp", other.Addr().String()); err == nil {
		conn.Close()
		t.Error("the other listener still listens")
	}
}
