package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/signet/keys/keystest"
)

// program is the whole program on free ports, with an issuer that it trusts.
type program struct {
	public, private string // addresses
	token           string
	stop            context.CancelFunc
	code            chan int // the exit code, when it ends
	log             *lines
}

// startProgram runs the program until the test ends, and waits until it is ready.
func startProgram(t *testing.T, args ...string) *program {
	t.Helper()
	issuer := keystest.NewServer(keystest.Set(keystest.ES256))
	t.Cleanup(issuer.Close)
	ctx, cancel := context.WithCancel(context.Background())
	p := &program{stop: cancel, code: make(chan int, 1), log: new(lines)}
	claims := keystest.AccessClaims(issuer.Issuer(), keystest.Audience, time.Now())
	p.token = keystest.AccessToken(keystest.ES256, claims)
	args = append([]string{"--issuer", issuer.Issuer(), "--audience", keystest.Audience, "--listen", "127.0.0.1:0",
		"--private-listen", "127.0.0.1:0"}, args...)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.code <- run(ctx, args, func(string) string { return "" }, io.Discard, p.log)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	until(t, "the program is ready", func() bool {
		serves := p.log.find("resource server serves")
		if serves == nil {
			return false
		}
		p.public, p.private = serves["listen"].(string), serves["private_listen"].(string)
		status, _, err := ask("http://"+p.private+"/readyz", nil)
		return err == nil && status == http.StatusOK
	})
	return p
}

// wantExit waits for the program's end.
func (p *program) wantExit(t *testing.T, code int) {
	t.Helper()
	select {
	case got := <-p.code:
		if got != code {
			t.Errorf("exit code %d, want %d; log:\n%s", got, code, p.log)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the program does not end")
	}
}

func (p *program) isReady() bool {
	status, _, err := ask("http://"+p.private+"/readyz", nil)
	return err == nil && status == http.StatusOK
}

// until waits for what another goroutine does over a real network.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("not in 10 s: %s", what)
}

// lines is a log in JSON that may be read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(data)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// find returns the first line with this message, nil when there is none.
func (l *lines) find(message string) map[string]any {
	for line := range strings.Lines(l.String()) {
		var entry map[string]any
		if json.Unmarshal([]byte(line), &entry) == nil && entry["msg"] == message {
			return entry
		}
	}
	return nil
}

// slowly is an application that tells when a request has come, and answers when it is let.
func slowly(t *testing.T) (app string, arrived, let chan struct{}) {
	t.Helper()
	arrived, let = make(chan struct{}, 1), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-let:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, "done\n")
	}))
	t.Cleanup(server.Close)
	return server.URL, arrived, let
}

// A request in flight finishes, and only then does the program end: well.
func TestStopLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	app, arrived, let := slowly(t)
	p := startProgram(t, "--upstream", app)
	answer := make(chan string, 1)
	go func() {
		status, text, err := ask("http://"+p.public+"/", []string{"Token", p.token})
		answer <- fmt.Sprint(status, err, text)
	}()
	<-arrived
	p.stop()
	until(t, "nobody is let in any more", func() bool {
		conn, err := net.Dial("tcp", p.public)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	if status, _, err := ask("http://"+p.private+"/livez", nil); err != nil || status != http.StatusOK {
		t.Errorf("the operator is not answered while requests finish: %d, %v", status, err)
	}
	close(let)
	if got := <-answer; !strings.HasPrefix(got, "200 <nil>") || !strings.HasSuffix(got, "\ndone\n") {
		t.Errorf("answer %q", got)
	}
	p.wantExit(t, exitOK)
}

// A request that takes longer than the grace is cut off, and the exit code says that not all went well.
func TestStopHasAnEnd(t *testing.T) {
	t.Parallel()
	app, arrived, _ := slowly(t)
	p := startProgram(t, "--upstream", app, "--shutdown-grace", "50ms")
	failed := make(chan error, 1)
	go func() {
		_, _, err := ask("http://"+p.public+"/", []string{"Token", p.token})
		failed <- err
	}()
	<-arrived
	p.stop()
	p.wantExit(t, exitFailure)
	if err := <-failed; err == nil {
		t.Error("the request got an answer")
	}
	if log := p.log.String(); !strings.Contains(log, "error: stopping: context deadline exceeded\n") {
		t.Errorf("log %q", log)
	}
}

// While it is not ready, and before it stops, the program serves: whoever sends requests here needs time to notice.
func TestStopAfterDelay(t *testing.T) {
	t.Parallel()
	p := startProgram(t, "--shutdown-delay", "500ms")
	p.stop()
	until(t, "not ready", func() bool { return !p.isReady() })
	status, _, err := ask("http://"+p.public+"/", []string{"Token", p.token})
	if err != nil || status != http.StatusOK {
		t.Errorf("%d, %v", status, err)
	}
	p.wantExit(t, exitOK)
}

// dialEcho upgrades a connection through the program to an application that sends back what it gets.
func dialEcho(t *testing.T, p *program) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", p.public)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nToken: %s\r\n\r\n",
		p.token)
	in := bufio.NewReader(conn)
	for line := ""; line != "\r\n"; {
		if line, err = in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = io.WriteString(conn, "ping\n")
	if line, err := in.ReadString('\n'); line != "ping\n" {
		t.Fatalf("echo %q, %v", line, err)
	}
	return conn, in
}

// echoing is an application that switches protocols, and then sends back what it gets.
func echoing(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, both, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn,
			"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(conn, both)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestStopCutsWebSockets(t *testing.T) {
	t.Parallel()
	p := startProgram(t, "--upstream", echoing(t))
	conn, in := dialEcho(t, p)
	p.stop()
	p.wantExit(t, exitOK)
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := in.ReadByte(); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("the connection is still there: %v", err)
	}
}
