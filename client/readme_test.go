package main_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// The README is run as a reader would run it: every shell block, in order, in a copy of the repository with an empty
// home. Only the ports are others, so that the test disturbs nobody.
func TestREADME(t *testing.T) {
	r := newReader(t)
	r.write("registry.yaml", r.only(t, "yaml"))
	r.write("client.yaml", r.only(t, "yaml client"))
	for _, b := range r.blocks {
		switch {
		case b.info == "console":
			r.session(b)
		case b.info == "sh background":
			r.background(b.line, strings.TrimSpace(b.text))
		case b.info == "sh":
			r.script(b)
		}
	}
	t.Run("the registry is one that the issuer accepts", func(t *testing.T) {
		r.background(0, "go run ./issuer --registry registry.yaml --listen 127.0.0.1:0 --private-listen 127.0.0.1:0 2>registry.log")
		eventually(t, "the issuer serves", func() bool {
			log, err := os.ReadFile(filepath.Join(r.dir, "registry.log"))
			if strings.Contains(string(log), "error:") || (err != nil && !errors.Is(err, fs.ErrNotExist)) {
				t.Fatalf("%v\n%s", err, log)
			}
			return strings.Contains(string(log), "issuer serves")
		})
	})
	t.Run("the settings file is one that the client accepts", func(t *testing.T) {
		if out, err := r.command("go run ./client version --config client.yaml").CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("the Go snippets compile", r.compileSnippets)
}

// Every flag that a program has is in the README.
func TestREADMENamesEveryFlag(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	flag := regexp.MustCompile(`(?m)^ +(?:-\w, )?(--[a-z0-9-]+)`)
	for _, command := range [][]string{
		{"issuer"}, {"resource"}, {"client"}, {"client", "serve"}, {"client", "proxy"}, {"client", "token"}, {"client", "call"},
		{"client", "verify"}, {"client", "check"},
	} {
		help := w.command(command[0], append(command[1:], "--help")...).mustRun(t)
		for _, match := range flag.FindAllStringSubmatch(help, -1) {
			if match[1] != "--help" && !strings.Contains(string(readme), "`"+match[1]+"`") {
				t.Errorf("%v has %s, and the README does not", command, match[1])
			}
		}
	}
}

// block is a fenced block of the README.
type block struct {
	line int
	info string
	text string
}

func readBlocks(t *testing.T) []block {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	var current *block
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		info, isFence := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "```")
		switch {
		case isFence && current == nil:
			current = &block{line: number, info: info}
		case isFence:
			blocks = append(blocks, *current)
			current = nil
		case current != nil:
			current.text += line
		}
	}
	return blocks
}

// reader is somebody who follows the README.
type reader struct {
	t      *testing.T
	dir    string // the copy of the repository
	env    []string
	ports  *strings.Replacer // from the README's to those of this test
	back   *strings.Replacer // and back again
	groups []int             // process groups that run in the background
	blocks []block
}

func newReader(t *testing.T) *reader {
	t.Helper()
	r := &reader{t: t, dir: filepath.Join(t.TempDir(), "signet"), blocks: readBlocks(t)}
	copyRepository(t, r.dir)
	const audience = "--audience http://127.0.0.1:9000" // what tokens are for is no address here
	there, back := []string{audience, audience}, []string(nil)
	port := make(map[string]string)
	for _, documented := range []string{"8080", "8081", "9000", "9001", "9002", "9003"} {
		_, free, _ := net.SplitHostPort(freeAddress(t))
		port[documented] = free
		there = append(there, ":"+documented, ":"+free)
		back = append(back, ":"+free, ":"+documented)
	}
	r.ports, r.back = strings.NewReplacer(there...), strings.NewReplacer(back...)
	demo := freePair(t)
	r.env = []string{
		"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8",
		"SIGNET_ISSUER=http://127.0.0.1:" + port["8080"], "SIGNET_URL=http://127.0.0.1:" + port["9000"] + "/",
		"ISSUER_PORT=" + demo[0], "RESOURCE_PORT=" + demo[1],
	}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOFLAGS", "GOPROXY", "GOTOOLCHAIN"} {
		r.env = append(r.env, name+"="+goEnv(t, name)) // only so that nothing is downloaded or built twice
	}
	r.env = append(r.env, "README_ISSUER="+port["8080"]+" "+port["8081"], "README_RESOURCE="+port["9000"]+" "+port["9001"],
		"README_CLIENT="+port["9002"], "README_PROXY="+port["9003"])
	t.Cleanup(r.stopAll)
	return r
}

// copyRepository copies what a clone would have.
func copyRepository(t *testing.T, to string) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel("..", path)
		if err != nil {
			return err
		}
		if name == ".git" || name == filepath.Join("keys", "local") {
			return fs.SkipDir
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), text, info.Mode().Perm())
	})
	if err != nil {
		t.Fatal(err)
	}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// freePair returns two ports, each with a free port after it.
func freePair(t *testing.T) [2]string {
	t.Helper()
	var pair [2]string
	for i := range pair {
		eventually(t, "two free ports in a row", func() bool {
			_, port, _ := net.SplitHostPort(freeAddress(t))
			var number int
			if _, err := fmt.Sscan(port, &number); err != nil {
				t.Fatal(err)
			}
			next, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", number+1))
			if err != nil {
				return false
			}
			pair[i] = port
			return next.Close() == nil
		})
	}
	return pair
}

// command is a shell command of the README, on this test's ports. The servers' ports are settings of their own, because
// the README starts them without flags.
func (r *reader) command(text string) *exec.Cmd {
	cmd := exec.Command("sh", "-ec", r.ports.Replace(text))
	cmd.Dir = r.dir
	cmd.Env = slices.Clone(r.env)
	for program, variable := range map[string]string{
		"./issuer": "README_ISSUER", "./resource": "README_RESOURCE", "./client serve": "README_CLIENT",
		"./client proxy": "README_PROXY",
	} {
		if !strings.Contains(text, "go run "+program) || strings.Contains(text, "--listen") {
			continue
		}
		for _, entry := range r.env {
			ports, found := strings.CutPrefix(entry, variable+"=")
			if !found {
				continue
			}
			public, private, _ := strings.Cut(ports, " ")
			cmd.Env = append(cmd.Env, "SIGNET_LISTEN=127.0.0.1:"+public, "SIGNET_PRIVATE_LISTEN=127.0.0.1:"+private)
		}
	}
	return cmd
}

// script runs a block to its end and wants it to succeed.
func (r *reader) script(b block) {
	r.t.Helper()
	if out, err := r.command(b.text).CombinedOutput(); err != nil {
		r.t.Errorf("README.md:%d: %v\n%s%s", b.line, err, b.text, out)
	}
}

// session runs the commands after each "$ " and compares what they print with what stands below them.
func (r *reader) session(b block) {
	r.t.Helper()
	defer r.stopAll()
	for _, part := range strings.Split("\n"+b.text, "\n$ ")[1:] {
		command, want, _ := strings.Cut(part, "\n")
		if server, isBackground := strings.CutSuffix(command, " &"); isBackground {
			r.background(b.line, server)
			continue
		}
		out, err := r.command(command).CombinedOutput()
		got := strings.TrimRight(r.back.Replace(string(out)), "\n")
		if err != nil || !matches(strings.TrimRight(want, "\n"), got) {
			r.t.Errorf("README.md:%d: %s: %v\ngot:\n%s\nwant:\n%s", b.line, command, err, got, want)
		}
	}
}

// matches compares line by line; … stands for anything in a line.
func matches(want, got string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(want), "…", "[^\n]*")
	return regexp.MustCompile("^" + pattern + "$").MatchString(got)
}

// background starts a server and waits until it listens.
func (r *reader) background(line int, text string) {
	r.t.Helper()
	cmd := r.command(text)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // go run starts a process of its own
	if err := cmd.Start(); err != nil {
		r.t.Fatalf("README.md:%d: %v", line, err)
	}
	r.groups = append(r.groups, cmd.Process.Pid)
	for _, entry := range cmd.Env {
		address, found := strings.CutPrefix(entry, "SIGNET_LISTEN=")
		if !found {
			continue
		}
		eventually(r.t, text+" listens", func() bool {
			conn, err := net.Dial("tcp", address)
			if err == nil {
				_ = conn.Close()
			}
			return err == nil
		})
	}
	go func() { _ = cmd.Wait() }()
}

func (r *reader) stopAll() {
	for _, group := range r.groups {
		_ = syscall.Kill(-group, syscall.SIGKILL)
	}
	r.groups = nil
}

func (r *reader) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// only returns the one block of a language.
func (r *reader) only(t *testing.T, info string) string {
	t.Helper()
	var found []string
	for _, b := range r.blocks {
		if b.info == info {
			found = append(found, b.text)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d blocks of %s, want 1", len(found), info)
	}
	return found[0]
}

// compileSnippets builds each Go block as the body of a function.
func (r *reader) compileSnippets(t *testing.T) {
	const frame = `package main

import (
	"context"
	"log"
	"net/http"

	"example.com/signet/client/tokens"
	"example.com/signet/keys"
	"example.com/signet/resource/bearer"
	"example.com/signet/resource/verify"
)

var (
	_ = log.Fatal
	_ = tokens.New
	_ = bearer.IsAuthorized
	_ = verify.New
)

var _ context.Context

func count(string) {}

func snippet(orders http.Handler, key *keys.PrivateKey) {
	var client *http.Client
	var verifier *verify.Verifier
	var err error
%s	_, _, _ = client, verifier, err
}

func main() { snippet(nil, nil) }
`
	if err := os.MkdirAll(filepath.Join(r.dir, "snippet"), 0o700); err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, b := range r.blocks {
		if b.info != "go" {
			continue
		}
		count++
		r.write("snippet/main.go", fmt.Sprintf(frame, strings.NewReplacer("client :=", "client =", "verifier, err :=", "verifier, err =").Replace(b.text)))
		if out, err := r.command("go build -o /dev/null ./snippet").CombinedOutput(); err != nil {
			t.Errorf("README.md:%d: %v\n%s", b.line, err, out)
		}
	}
	if count == 0 {
		t.Error("no Go blocks")
	}
}
