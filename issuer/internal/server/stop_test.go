package server_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"example.com/signet/issuer/internal/server"
)

// fetch reads a document by a connection of its own.
func fetch(client *http.Client, address string) (status int, body string, err error) {
	response, err := client.Get(address)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

func oneShot(t *testing.T) *http.Client {
	t.Helper()
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
}

// stopping is an issuer of two sites that can be told to stop.
type stopping struct {
	public, private  string
	listener         net.Listener // of the public site
	stop             context.CancelFunc
	announced, ended chan struct{}
	err              error // once it has ended
}

func newStopping(t *testing.T, delay, grace time.Duration, public http.Handler) *stopping {
	t.Helper()
	var unready atomic.Bool
	d := newDirect(t, func(c *server.Config) {
		c.Ready = func() error {
			if unready.Load() {
				return server.ErrStopping
			}
			return nil
		}
	})
	first, second := listen(t), listen(t)
	ctx, stop := context.WithCancel(context.Background())
	s := &stopping{
		public: "http://" + first.Addr().String(), private: "http://" + second.Addr().String(), listener: first,
		stop: stop, announced: make(chan struct{}), ended: make(chan struct{}),
	}
	announce := func() { unready.Store(true); close(s.announced) }
	go func() {
		defer close(s.ended)
		s.err = server.Serve(ctx, slog.New(slog.DiscardHandler), server.Stop{Announce: announce, Delay: delay, Grace: grace},
			server.Site{Listener: first, Handler: public}, server.Site{Listener: second, Handler: d.Private})
	}()
	t.Cleanup(func() { stop(); <-s.ended })
	return s
}

// From the signal on the issuer is not ready, and serves what still comes for as long as Delay lasts.
func TestStopDelay(t *testing.T) {
	t.Parallel()
	s := newStopping(t, time.Hour, time.Minute, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "served")
	}))
	client := oneShot(t)
	if status, body, err := fetch(client, s.private+"/readyz"); status != 200 || body != "ok\n" || err != nil {
		t.Fatalf("before: status %d, body %q, %v", status, body, err)
	}
	s.stop()
	<-s.announced
	for range 5 {
		if status, body, err := fetch(client,
			s.private+"/readyz"); status != 503 || body != "not ready: stopping\n" || err != nil {
			t.Errorf("readyz: status %d, body %q, %v", status, body, err)
		}
		if status, body, err := fetch(client, s.private+"/livez"); status != 200 || err != nil {
			t.Errorf("livez: status %d, body %q, %v", status, body, err)
		}
		if status, body, err := fetch(client, s.public); status != 200 || body != "served" || err != nil {
			t.Errorf("a new request: status %d, body %q, %v", status, body, err)
		}
	}
	select {
	case <-s.ended:
		t.Fatal("stopped before the delay was over")
	default:
	}
	s.listener.Close() // a listener that fails ends the delay: there is nothing left to serve on
	<-s.ended
	if !errors.Is(s.err, net.ErrClosed) {
		t.Errorf("error %v", s.err)
	}
	for _, address := range []string{s.public, s.private} {
		if status, _, err := fetch(client, address); err == nil {
			t.Errorf("%s: status %d after the stop", address, status)
		}
	}
}

// A request that begins during the delay is finished after it, and the operator's site answers until then.
func TestStopDrains(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	s := newStopping(t, 50*time.Millisecond, time.Minute, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		entered <- struct{}{}
		<-release
		_, _ = io.WriteString(w, "finished")
	}))
	body := make(chan string, 1)
	go func() {
		_, text, err := fetch(oneShot(t), s.public)
		if err != nil {
			text = err.Error()
		}
		body <- text
	}()
	<-entered
	s.stop()
	<-s.announced
	for { // until the delay is over and the public listener closed
		conn, err := net.Dial("tcp", s.listener.Addr().String())
		if err != nil {
			break
		}
		conn.Close()
	}
	if status, _, err := fetch(oneShot(t), s.private+"/readyz"); status != 503 || err != nil {
		t.Errorf("the operator's site: status %d, %v", status, err)
	}
	select {
	case <-s.ended:
		t.Fatal("stopped with a request in flight")
	default:
	}
	close(release)
	if got := <-body; got != "finished" {
		t.Errorf("the request in flight: %q", got)
	}
	<-s.ended
	if s.err != nil {
		t.Error(s.err)
	}
}

// A listener that fails is a reason to stop at once: unready, without delay, and the other site too.
func TestStopOfItself(t *testing.T) {
	t.Parallel()
	s := newStopping(t, time.Hour, time.Minute, http.NotFoundHandler())
	if status, _, err := fetch(oneShot(t), s.private+"/livez"); status != 200 || err != nil {
		t.Fatalf("status %d, %v", status, err)
	}
	s.listener.Close()
	<-s.announced
	<-s.ended
	if !errors.Is(s.err, net.ErrClosed) {
		t.Errorf("error %v", s.err)
	}
	if status, _, err := fetch(oneShot(t), s.private+"/livez"); err == nil {
		t.Errorf("the other site: status %d", status)
	}
}

// An issuer that is told to stop before it has begun stops.
func TestStopBeforeTheBeginning(t *testing.T) {
	t.Parallel()
	for range 20 {
		ctx, stop := context.WithCancel(t.Context())
		stop()
		listener := listen(t)
		err := server.Serve(ctx, slog.New(slog.DiscardHandler), server.Stop{Announce: func() {}, Grace: time.Minute},
			server.Site{Listener: listener, Handler: http.NotFoundHandler()})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Over TLS, with HTTP/2, a stop lets the request in flight finish too.
func TestStopOverTLS(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	entered, release := make(chan struct{}), make(chan struct{})
	listener := listen(t)
	ctx, stop := context.WithCancel(t.Context())
	announced, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- server.Serve(ctx, slog.New(slog.DiscardHandler), server.Stop{Announce: func() { close(announced) },
			Grace: time.Minute},
			server.Site{Listener: listener, TLS: p.Config(), Handler: http.HandlerFunc(func(w http.ResponseWriter,
				r *http.Request) {
				close(entered)
				<-release
				_, _ = io.WriteString(w, r.Proto)
			})})
	}()
	body := make(chan string, 1)
	go func() {
		_, text, err := fetch(p.client(), "https://"+listener.Addr().String())
		if err != nil {
			text = err.Error()
		}
		body <- text
	}()
	<-entered
	stop()
	<-announced
	close(release)
	if got := <-body; got != "HTTP/2.0" {
		t.Errorf("the request in flight: %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
