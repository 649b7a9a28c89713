package pgtest_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/signet/keys/keystest/pgtest"
)

func TestMain(m *testing.M) {
	if play, ok := plays[os.Getenv(playVariable)]; ok {
		play()
		return
	}
	os.Exit(pgtest.Main{M: m}.Run())
}

// psql runs commands and returns what they print, without the last line's end.
func psql(t *testing.T, s *pgtest.Server, url, sql string) (string, error) {
	t.Helper()
	program, err := exec.LookPath(filepath.Join(s.Bin(), "psql"))
	if err != nil {
		program, err = exec.LookPath("psql")
	}
	if err != nil {
		t.Skip(err)
	}
	output, err := exec.Command(program, "-qAtX", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql).CombinedOutput()
	return strings.TrimSuffix(string(output), "\n"), err
}

// mustPrint is psql for a command that has to print this.
func mustPrint(t *testing.T, s *pgtest.Server, url, sql, want string) {
	t.Helper()
	if got, err := psql(t, s, url, sql); err != nil || got != want {
		t.Errorf("%s at %s: %q, %v, want %q", sql, url, got, err, want)
	}
}

// mustRefuse is psql for a command that has to fail with this.
func mustRefuse(t *testing.T, s *pgtest.Server, url, sql, want string) {
	t.Helper()
	if got, err := psql(t, s, url, sql); err == nil || !strings.Contains(got, want) {
		t.Errorf("%s at %s: %q, %v, want %q", sql, url, got, err, want)
	}
}

// family returns the postmaster and its children.
func family(t *testing.T, s *pgtest.Server) []int {
	t.Helper()
	children, err := pgtest.Children(s.PID())
	if err != nil || len(children) == 0 {
		t.Fatalf("%v, %v", children, err)
	}
	return append(children, s.PID())
}

// mustEnd waits until the processes have ended.
func mustEnd(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		waitUntil(t, fmt.Sprintf("process %d ends", pid), func() bool { return !alive(pid) })
	}
}

// alive reports whether a process is there and no zombie, whose parent is slow.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if runtime.GOOS != "linux" {
		return syscall.Kill(pid, 0) == nil
	}
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-timeout:
			t.Fatalf("waiting in vain: %s", what)
		case <-tick.C:
		}
	}
}

// recorder is a test that notes what becomes of it.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	said     string
	failed   bool
	cleanups []func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Failed() bool     { return r.failed }
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Logf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said += fmt.Sprintf(format, args...)
}

func (r *recorder) Skipf(format string, args ...any) {
	r.Logf("skipped: "+format, args...)
	runtime.Goexit()
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.failed = true
	r.Logf("failed: "+format, args...)
	runtime.Goexit()
}

// run runs a test as the testing package does, and returns what it said.
func (r *recorder) run(test func(t testing.TB)) string {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() {
			for i := len(r.cleanups) - 1; i >= 0; i-- {
				r.cleanups[i]()
			}
		}()
		test(r)
	}()
	<-ended
	return r.said
}
