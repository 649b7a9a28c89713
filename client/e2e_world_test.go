package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/signet/keys/keystest"
)

// patience is how long a test waits for something that happens in another process.
const patience = 20 * time.Second

// buildPrograms builds the three programs, once for all tests.
var buildPrograms = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("signet-e2e-%d", os.Getpid())) // TestMain removes it
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", dir+"/", "../issuer", "../resource", "../client").CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return dir, nil
})

// world is a directory with keys, and the programs that run on it.
type world struct {
	t   *testing.T
	dir string
	bin string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	bin, err := buildPrograms()
	if err != nil {
		t.Fatalf("building the programs: %v", err)
	}
	w := &world{t: t, dir: t.TempDir(), bin: bin}
	w.genkeys("keys")
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// genkeys makes keys below dir as a user would.
func (w *world) genkeys(dir string) {
	w.t.Helper()
	out, err := exec.Command("../scripts/genkeys.sh", "--out", w.path(dir)).CombinedOutput()
	if err != nil {
		w.t.Fatalf("genkeys.sh: %v\n%s", err, out)
	}
}

// command is a program that runs to its end. It sees nothing of the environment's settings.
func (w *world) command(name string, args ...string) *invocation {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	w.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, filepath.Join(w.bin, name), args...)
	cmd.Env = []string{"HOME=" + w.dir}
	cmd.Dir = w.dir
	return &invocation{cmd}
}

// client is the client, set up for an issuer and a resource server.
func (w *world) client(issuer, resource *program, args ...string) *invocation {
	return w.command("client", append([]string{
		"--issuer", issuer.url, "--url", resource.url + "/", "--key", w.path("keys/client/demo.pem"),
	}, args...)...)
}

type invocation struct{ cmd *exec.Cmd }

type result struct {
	stdout, stderr string
	code           int
}

func (e *invocation) run() result {
	var stdout, stderr bytes.Buffer
	e.cmd.Stdout, e.cmd.Stderr = &stdout, &stderr
	_ = e.cmd.Run()
	return result{stdout.String(), stderr.String(), e.cmd.ProcessState.ExitCode()}
}

func (e *invocation) mustRun(t *testing.T) string {
	t.Helper()
	r := e.run()
	if r.code != 0 {
		t.Fatalf("%v: exit %d\n%s", e.cmd.Args, r.code, r.stderr)
	}
	return r.stdout
}

func (e *invocation) mustRunTrimmed(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(e.mustRun(t))
}

// program is a program that serves.
type program struct {
	t       *testing.T
	name    string
	args    []string
	bin     string
	dir     string
	url     string // of its public listener
	private string // of its health

	cmd    *exec.Cmd
	stderr *lockedBuffer
	ended  chan error
}

// start starts the issuer or a resource server on free ports, and waits until it serves.
func (w *world) start(name string, args ...string) *program {
	w.t.Helper()
	p := &program{t: w.t, name: name, args: args, bin: filepath.Join(w.bin, name), dir: w.dir, stderr: &lockedBuffer{}}
	w.t.Cleanup(func() { p.kill(syscall.SIGKILL) }) // first, for a program that never comes to serve
	p.run(append([]string{"--listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0"}, args...))
	return p
}

// startClientAPI starts client serve.
func (w *world) startClientAPI(issuer, resource *program) *program {
	w.t.Helper()
	address := freeAddress(w.t)
	p := &program{t: w.t, name: "client", bin: filepath.Join(w.bin, "client"), dir: w.dir, stderr: &lockedBuffer{}}
	p.url = "http://" + address
	w.t.Cleanup(func() { p.kill(syscall.SIGKILL) })
	p.spawn([]string{"serve", "--listen", address, "--issuer", issuer.url, "--url", resource.url + "/",
		"--key", w.path("keys/client/demo.pem")})
	eventually(w.t, "client serve listens", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return p
}

// restart starts it again where it was.
func (p *program) restart() {
	p.t.Helper()
	p.run(append(p.args, "--listen", strings.TrimPrefix(p.url, "http://"), "--private-listen", "127.0.0.1:0"))
}

func (p *program) spawn(args []string) {
	p.t.Helper()
	p.cmd = exec.Command(p.bin, args...)
	p.cmd.Env = []string{"HOME=" + p.dir}
	p.cmd.Dir = p.dir
	p.cmd.Stderr = p.stderr
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan error, 1)
	p.ended = ended
	cmd := p.cmd
	go func() { ended <- cmd.Wait() }()
}

// run starts the program and waits until it serves.
func (p *program) run(args []string) {
	p.t.Helper()
	before := len(p.log())
	p.spawn(args)
	p.awaitServing(before)
}

// awaitServing learns the program's addresses from its log, whose first octets are from before its start.
func (p *program) awaitServing(before int) {
	p.t.Helper()
	eventually(p.t, p.name+" serves", func() bool {
		for line := range strings.Lines(p.log()[before:]) {
			var entry struct {
				Message string `json:"msg"`
				Listen  string `json:"listen"`
				Private string `json:"private_listen"`
			}
			if json.Unmarshal([]byte(line), &entry) == nil && strings.HasSuffix(entry.Message, " serves") {
				p.url, p.private = "http://"+entry.Listen, "http://"+entry.Private
				return true
			}
		}
		select {
		case err := <-p.ended:
			p.t.Fatalf("%s ended: %v\n%s", p.name, err, p.log())
		default:
		}
		return false
	})
}

// stop asks the program to stop, and wants exit code 0.
func (p *program) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case err := <-p.ended:
		if err != nil {
			p.t.Errorf("%s stopped with %v\n%s", p.name, err, p.log())
		}
	case <-time.After(patience):
		p.t.Errorf("%s did not stop", p.name)
	}
}

// kill ends the program without asking. It is harmless when it has ended.
func (p *program) kill(signal syscall.Signal) {
	if p.cmd != nil && p.cmd.Process != nil && p.cmd.Process.Signal(signal) == nil {
		<-p.ended
	}
}

func (p *program) log() string { return p.stderr.String() }

func (p *program) waitReady() {
	p.t.Helper()
	eventually(p.t, p.name+" is ready", func() bool { return get(p.t, p.private+"/readyz", "").status == http.StatusOK })
}

// lockedBuffer is a buffer that one goroutine fills while others read it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// eventually waits until what happens in another process has happened.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !happened() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v", what, patience)
		}
		time.Sleep(20 * time.Millisecond) // between two looks at another process, not for a clock
	}
}

// freeAddress returns a loopback address that nobody listens on now.
func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := keystest.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

type response struct {
	status int
	header http.Header
	body   []byte
}

// get sends a GET with the token, if any, in the Token header.
func get(t *testing.T, url, token string) response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Token", token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{resp.StatusCode, resp.Header, body}
}

// tamper changes the first character of one segment of a token.
func tamper(token string, segment int) string {
	parts := strings.Split(token, ".")
	other := "A"
	if parts[segment][0] == 'A' {
		other = "B"
	}
	parts[segment] = other + parts[segment][1:]
	return strings.Join(parts, ".")
}
