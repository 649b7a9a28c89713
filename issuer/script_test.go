package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// hangup sends SIGHUP to what runs in the background.
func hangup(ts *testscript.TestScript, _ bool, _ []string) {
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(syscall.SIGHUP))
	}
}

// digest puts the SHA-256 of the secret in a file into a variable: digest secret SHA.
func digest(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: digest file variable")
	}
	ts.Setenv(args[1], fmt.Sprintf("%x", sha256.Sum256([]byte(secretIn(ts, args[0])))))
}

// secretIn is the one line of a file.
func secretIn(ts *testscript.TestScript, file string) string {
	text := ts.ReadFile(file)
	secret, ended := strings.CutSuffix(text, "\n")
	if !ended || strings.ContainsAny(secret, "\n ") {
		ts.Fatalf("%q is not one line", text)
	}
	return secret
}

// expand writes a file with the variables in it filled in, and renames it into place: expand template.yaml file.yaml.
func expand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: expand template file")
	}
	path := ts.MkAbs(args[1])
	ts.Check(os.WriteFile(path+".new", []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
	ts.Check(os.Rename(path+".new", path))
}

// soon is how long the scripts wait for what the issuer does by itself: what it promises for a client that is disabled.
const soon = 5 * time.Second

// token asks $PUBLIC for a token until the answer has that status, for five seconds: token 401 billing secret. Until
// then no other answers than 200 and those to a client or a resource that is not served may come.
func token(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: token status client file-with-secret")
	}
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {args[1]}, "client_secret": {secretIn(ts, args[2])},
	}
	ts.Check(until(func() error {
		response, err := http.PostForm("http://"+ts.Getenv("PUBLIC")+"/oauth2/token", form)
		if err != nil {
			return err
		}
		response.Body.Close()
		switch response.StatusCode {
		case http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized:
		default:
			ts.Fatalf("status %d", response.StatusCode)
		}
		return wantStatus(response, args[0])
	}))
	http.DefaultClient.CloseIdleConnections() // the issuer would wait for them
}

// answers fetches a URL until the answer has that status: answers 503 http://….
func answers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: answers status url")
	}
	ts.Check(until(func() error {
		response, err := http.Get(args[1])
		if err != nil {
			return err
		}
		response.Body.Close()
		return wantStatus(response, args[0])
	}))
	http.DefaultClient.CloseIdleConnections()
}

func wantStatus(response *http.Response, want string) error {
	if got := strconv.Itoa(response.StatusCode); got != want {
		return fmt.Errorf("status %s, want %s", got, want)
	}
	return nil
}

// metric waits until $PRIVATE shows that line among its metrics: metric 'signet_registry_trouble 1'.
func metric(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: metric line")
	}
	ts.Check(until(func() error {
		body, err := fetch(context.Background(), "http://"+ts.Getenv("PRIVATE")+"/metrics")
		if err != nil {
			return err
		}
		if !strings.Contains("\n"+string(body), "\n"+args[0]+"\n") {
			return fmt.Errorf("no metric %q", args[0])
		}
		return nil
	}))
}

// until tries until there is no error, and returns the last one after five seconds.
func until(try func() error) error {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for timeout := time.After(soon); ; {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-timeout:
			return err
		case <-again.C:
		}
	}
}
