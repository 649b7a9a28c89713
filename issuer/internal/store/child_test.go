package store_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
	"testing"
	"time"

	"example.com/signet/issuer/internal/store"
)

const (
	childVariable = "STORE_CHILD"
	urlVariable   = "STORE_URL"
)

// children are what the test binary does as a process of its own: one that is killed, or one with few rights.
var children = map[string]func() int{
	"migrate": func() int { return openAsChild(true, func(*store.Store) error { return nil }) },
	"read":    func() int { return openAsChild(false, readAsChild) },
	"write":   func() int { return openAsChild(true, writeAsChild) },
}

// openAsChild says when it begins, and how it ended.
func openAsChild(migrate bool, do func(*store.Store) error) int {
	fmt.Println("begin")
	s, err := store.Open(context.Background(), store.Config{
		URL: os.Getenv(urlVariable), Connections: 3, Migrate: migrate, Actor: "child", Log: slog.New(slog.DiscardHandler),
	})
	if err == nil {
		err = do(s)
		_ = s.Close()
	}
	if err != nil {
		fmt.Printf("%v\n%s\n", err, hintOf(err))
		return 1
	}
	fmt.Println("done")
	return 0
}

func readAsChild(s *store.Store) error {
	_, err := s.Clients(context.Background())
	return err
}

// childClient is the client whose ids a child spends, until childUntil.
const childClient = "child"

var childUntil = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

// writeAsChild adds resources and spends their audiences as ids until it is killed, or nobody reads any more which are
// done.
func writeAsChild(s *store.Store) error {
	for i := 0; ; i++ {
		audience := fmt.Sprintf("https://%d.%d.example.com", i, os.Getpid())
		if err := s.AddResource(context.Background(), newResource(audience, "read")); err != nil {
			return err
		}
		first, err := s.Spend(context.Background(), childClient, audience, childUntil)
		if err != nil || !first {
			return fmt.Errorf("%q is spent: %w", audience, err)
		}
		fmt.Println(audience)
	}
}

// child is a process that plays.
type child struct {
	*exec.Cmd
	lines *bufio.Reader
}

// startChild starts a process and waits until it begins.
func startChild(t *testing.T, play, url string, who *syscall.Credential) *child {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^$") // by this name another user may run it too
	if who == nil {
		cmd.Path = os.Args[0]
	}
	cmd.Env = append(os.Environ(), childVariable+"="+play, urlVariable+"="+url)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	cmd.Dir = "/"
	out, err := cmd.StdoutPipe()
	must(t, err)
	cmd.Stderr = cmd.Stdout
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	c := &child{cmd, bufio.NewReader(out)}
	if line := c.line(); line != "begin\n" {
		t.Fatalf("the child says %q", line)
	}
	return c
}

func (c *child) line() string {
	line, _ := c.lines.ReadString('\n')
	return line
}

// end returns what the process still says, and its exit status.
func (c *child) end() (said string, status int) {
	rest, _ := io.ReadAll(c.lines)
	_ = c.Wait()
	return string(rest), c.ProcessState.ExitCode()
}

// kill ends the process as a power cut would, and returns what it had said.
func (c *child) kill() string {
	_ = c.Process.Kill()
	said, _ := c.end()
	return said
}

// nobody is whom to run a process as that may not do what root may, and how to give him files; nil where we are not
// root.
func nobody(t *testing.T) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	account, err := user.Lookup("nobody")
	must(t, err)
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	must(t, err)
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	must(t, err)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}
