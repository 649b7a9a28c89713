package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"example.com/signet/keys/keystest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"resource": main})
}

// The program as its user sees it: testdata/script has transcripts.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:      "testdata/script",
		Deadline: time.Now().Add(2 * time.Minute), // not go test's ten
		Setup: func(env *testscript.Env) error {
			taken, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			env.Defer(func() { _ = taken.Close() })
			env.Setenv("TAKEN", taken.Addr().String())
			// Where a transcript does not say where to serve, nothing can: what should be refused and is not ends at
			// once.
			env.Setenv("SIGNET_LISTEN", taken.Addr().String())
			env.Setenv("SIGNET_PRIVATE_LISTEN", taken.Addr().String())
			for _, name := range []string{"PUBLIC", "PRIVATE", "NOBODY"} { // free when asked for
				free, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					return err
				}
				env.Setenv(name, free.Addr().String())
				_ = free.Close()
			}
			issuer := keystest.NewServer(keystest.Set(keystest.ES256))
			env.Defer(issuer.Close)
			env.Setenv("ISSUER", issuer.Issuer())
			claims := keystest.AccessClaims(issuer.Issuer(), "http://127.0.0.1:9000", time.Now())
			env.Setenv("TOKEN", keystest.AccessToken(keystest.ES256, claims))
			expired := claims.With("exp", strconv.FormatInt(time.Now().Unix()-600, 10))
			env.Setenv("EXPIRED", keystest.AccessToken(keystest.ES256, expired))
			claims = keystest.AccessClaims("http://"+env.Getenv("NOBODY"), "http://127.0.0.1:9000", time.Now())
			env.Setenv("EARLY", keystest.AccessToken(keystest.ES256, claims))
			return setUpstream(env)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"get": get, "terminate": terminate},
	})
}

// get URL STATUS [NAME VALUE]...: asks until the server is there and answers with that status, and prints the answer:
// the headers in order, then the body.
func get(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args)%2 != 0 {
		ts.Fatalf("usage: get URL STATUS [NAME VALUE]...")
	}
	var last string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		status, answer, err := ask(args[0], args[2:])
		last = fmt.Sprint(status, " ", answer, err)
		if err == nil && strconv.Itoa(status) == args[1] {
			_, _ = io.WriteString(ts.Stdout(), answer)
			return
		}
	}
	ts.Fatalf("no %s from %s in 10 s; the last: %s", args[1], args[0], last)
}

// terminate sends SIGTERM, as service managers do, to what runs in the background; kill knows only SIGINT and SIGKILL.
func terminate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: terminate")
	}
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(syscall.SIGTERM))
	}
}

func ask(url string, headers []string) (status int, answer string, err error) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	_ = resp.Header.Write(&text)
	text.WriteString("\r\n")
	_, err = io.Copy(&text, resp.Body)
	return resp.StatusCode, strings.ReplaceAll(text.String(), "\r", ""), err
}
