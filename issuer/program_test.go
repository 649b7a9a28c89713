package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// home is a directory with what an issuer needs: signing keys of both algorithms, and a registry.
type home struct {
	t        *testing.T
	dir      string
	settings []string // flags of every program that runs there
}

func newHome(t *testing.T, registry string) *home {
	t.Helper()
	h := &home{t: t, dir: t.TempDir()}
	h.settings = []string{"--registry", h.path("registry.yaml"), "--keys-dir", h.path("keys")}
	past := time.Now().Add(-time.Hour).Truncate(time.Second)
	h.must(os.Mkdir(h.path("keys"), 0o700))
	h.write(filepath.Join("keys", keys.FileName(keys.ES256, past)), keystest.PEM(keystest.ES256))
	h.write(filepath.Join("keys", keys.FileName(keys.RS256, past)), keystest.PEM(keystest.RS256))
	h.write("registry.yaml", []byte(registry))
	return h
}

func (h *home) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *home) path(name string) string { return filepath.Join(h.dir, name) }

// write puts a file into its place in one step.
func (h *home) write(name string, text []byte) {
	h.t.Helper()
	h.must(os.WriteFile(h.path(name)+".new", text, 0o600))
	h.must(os.Rename(h.path(name)+".new", h.path(name)))
}

// program is an issuer in a process of its own.
type program struct {
	home            *home
	cmd             *exec.Cmd
	log             *programLog
	issuer          string        // its issuer identifier
	public, private string        // where it listens
	ended           chan struct{} // closed when it has ended, by which time code is set
	code            int           // its exit code; -1 when a signal ended it
}

// start runs the issuer on ports of its own, until the test ends or it is stopped; it returns when the issuer serves.
func (h *home) start(args ...string) *program {
	h.t.Helper()
	p := h.launch(args...)
	p.serves()
	return p
}

// serves waits until the program serves, and notes where.
func (p *program) serves() {
	p.home.t.Helper()
	entry := p.log.await(p.home.t, p.ended, "issuer serves")
	p.issuer, p.public, p.private = entry["issuer"].(string), entry["listen"].(string), entry["private_listen"].(string)
}

// unlimited are arguments with which no limit is met.
func unlimited() []string {
	return []string{"--limit-address-rate", "100000", "--limit-client-rate", "100000"}
}

// launch is start without waiting.
func (h *home) launch(args ...string) *program {
	h.t.Helper()
	p := &program{home: h, log: &programLog{more: make(chan struct{}, 1)}, ended: make(chan struct{})}
	p.cmd = h.command(append([]string{"--listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0"}, args...)...)
	p.cmd.Stderr = p.log
	h.must(p.cmd.Start())
	go func() {
		defer close(p.ended)
		var failed *exec.ExitError
		if err := p.cmd.Wait(); errors.As(err, &failed) {
			p.code = failed.ExitCode()
		}
	}()
	h.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
	})
	return p
}

func (p *program) signal(sig os.Signal) {
	p.home.t.Helper()
	p.home.must(p.cmd.Process.Signal(sig))
}

// stop asks the program to end, and fails the test unless it does, cleanly.
func (p *program) stop() {
	p.home.t.Helper()
	http.DefaultClient.CloseIdleConnections() // the issuer would wait for them
	p.signal(syscall.SIGTERM)
	p.end(exitOK)
}

// end waits until the program has ended with that code.
func (p *program) end(code int) {
	p.home.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // it tells what it is at
		<-p.ended
		p.home.t.Fatalf("the issuer does not end:\n%s", p.log)
	}
	if p.code != code {
		p.home.t.Fatalf("the issuer ended with code %d, want %d:\n%s", p.code, code, p.log)
	}
}

// logged reports whether that text is in the log.
func (p *program) logged(text string) error {
	if !strings.Contains(p.log.all(), text) {
		return fmt.Errorf("not logged: %s", text)
	}
	return nil
}

// metric reports whether the private listener shows that line among its metrics.
func (p *program) metric(line string) error {
	body, err := fetch(p.home.t.Context(), "http://"+p.private+"/metrics")
	if err == nil && !strings.Contains("\n"+string(body), "\n"+line+"\n") {
		err = fmt.Errorf("no metric %q", line)
	}
	return err
}

// answer is what the token endpoint says.
type answer struct {
	status      int
	token       string
	scope       string
	code        string // error
	description string // error_description
	retryAfter  string
}

func (a answer) String() string { return fmt.Sprintf("%d %s: %s", a.status, a.code, a.description) }

// ask sends a form to the token endpoint.
func ask(client *http.Client, issuer string, form url.Values) (answer, error) {
	response, err := client.PostForm(issuer+"/oauth2/token", form)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	var body struct {
		Token       string `json:"access_token"`
		Scope       string `json:"scope"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	err = json.NewDecoder(response.Body).Decode(&body)
	return answer{response.StatusCode, body.Token, body.Scope, body.Error, body.Description,
		response.Header.Get("Retry-After")}, err
}

// withSecret asks for a token as a client with a secret does.
func withSecret(id, secret string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}
}

// freshSecret is a secret and its line in a registry.
func freshSecret() (secret, line string) {
	secret, digest := clients.GenerateSecret()
	return secret, fmt.Sprintf("secrets: [{sha256: %x}]", digest)
}
