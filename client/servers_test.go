package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func cmdInterrupted(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 2)
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	cmd, stderr := program(ts, args[2:]), new(strings.Builder)
	cmd.Stdout, cmd.Stderr = ts.Stdout(), io.MultiWriter(stderr, ts.Stderr())
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-worldOf(ts).waited:
		ts.Check(cmd.Process.Signal(os.Interrupt))
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
	}
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
		ts.Fatalf("it goes on after Ctrl-C")
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("got exit code %d, want %d: %s", got, want, stderr)
	}
	checkTalk(ts, stderr.String())
	checkForm(ts, want, stderr.String())
}

// program is the client, to be started in the script's directory and environment.
func program(ts *testscript.TestScript, args []string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(strings.Split(ts.Getenv("PATH"), string(os.PathListSeparator))[0], "client"), args...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "GORACE", "TZ", "SIGNET_ISSUER", "SIGNET_URL", "SIGNET_KEY", "SIGNET_CONFIG", "SIGNET_SECRET_FILE",
		"SIGNET_TOKEN_CACHE", "SIGNET_HEADER"} {
		if value := ts.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	return cmd
}

func cmdServe(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 0)
	start(ts, "SERVE", append([]string{"serve", "--listen", "127.0.0.1:0"}, args...))
}

func cmdProxy(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 0)
	start(ts, "PROXY", append([]string{"proxy", "--listen", "127.0.0.1:0"}, args...))
}

// start starts a server and learns its address from what it says when it listens.
func start(ts *testscript.TestScript, variable string, args []string) {
	w := worldOf(ts)
	w.serving = program(ts, args)
	stderr, err := w.serving.StderrPipe()
	ts.Check(err)
	ts.Check(w.serving.Start())
	ts.Defer(func() { _ = w.serving.Process.Kill() }) // when the script failed before it stopped it
	w.log, w.logged = new(strings.Builder), make(chan struct{})
	listens := make(chan string, 1)
	go readLog(stderr, w, listens)
	select {
	case address := <-listens:
		ts.Setenv(variable, "http://"+address)
	case <-w.logged:
		ts.Fatalf("client %s ended: %s", args[0], w.log)
	case <-time.After(20 * time.Second):
		ts.Fatalf("client %s does not listen", args[0])
	}
}

func readLog(stderr io.Reader, w *world, listens chan<- string) {
	defer close(w.logged)
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		w.log.WriteString(lines.Text() + "\n")
		if _, rest, ok := strings.Cut(lines.Text(), `"listen":"`); ok {
			address, _, _ := strings.Cut(rest, `"`)
			listens <- address
		}
	}
}

func cmdFetch(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 2)
	req, err := http.NewRequest(http.MethodGet, args[1], nil)
	ts.Check(err)
	if len(args) > 2 {
		req.Host = args[2]
	}
	if len(args) > 4 {
		req.Header.Set(args[3], args[4])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	got, body := "broken", []byte(nil)
	if resp, err := client.Do(req); err == nil {
		defer resp.Body.Close()
		if body, err = io.ReadAll(resp.Body); err == nil {
			got = strconv.Itoa(resp.StatusCode)
		}
	}
	fmt.Fprintf(ts.Stdout(), "%s\n", body)
	if got != args[0] {
		ts.Fatalf("got status %s, want %s: %s", got, args[0], body)
	}
}

func cmdStop(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 0)
	w := worldOf(ts)
	ts.Check(w.serving.Process.Signal(syscall.SIGTERM))
	<-w.logged
	if err := w.serving.Wait(); err != nil {
		ts.Fatalf("after SIGTERM: %v, want exit code 0: %s", err, w.log)
	}
	checkTalk(ts, w.log.String())
	fmt.Fprint(ts.Stdout(), w.log)
}
