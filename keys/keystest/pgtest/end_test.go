package pgtest_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/signet/keys/keystest/pgtest"
)

// plays are ways for a package's tests to end. Each is played by a process of its own.
var plays = map[string]func(){
	"passed":   func() { os.Exit(pgtest.Main{M: player{0, true}}.Run()) },
	"failed":   func() { os.Exit(pgtest.Main{M: player{1, true}}.Run()) },
	"unused":   func() { os.Exit(pgtest.Main{M: player{3, false}}.Run()) },
	"exited":   func() { show(shared()); os.Exit(2) },
	"panicked": func() { show(shared()); panic("a test does") },
	"paused":   func() { s := own(); show(s); s.Pause(); panic("a test does") },
	"killed":   func() { show(own()); time.Sleep(time.Hour) },
}

const playVariable = "PGTEST_PLAY"

// player is a testing.M, whose tests use the shared server or not.
type player struct {
	status int
	uses   bool
}

func (p player) Run() int {
	if p.uses {
		show(shared())
	}
	return p.status
}

func shared() (s *pgtest.Server) {
	new(recorder).run(func(t testing.TB) { s = pgtest.Shared(t) })
	return s
}

// own returns the server of a test that does not come to its end.
func own() *pgtest.Server {
	server := make(chan *pgtest.Server)
	go new(recorder).run(func(t testing.TB) {
		server <- pgtest.Start(t)
		select {}
	})
	return <-server
}

// show prints the directory and the processes of a server.
func show(s *pgtest.Server) {
	children, err := pgtest.Children(s.PID())
	fmt.Println(s.Dir(), s.PID(), children, err)
}

// However tests end, no process of the server's outlives them, and where they end in order, no file does.
func TestEnd(t *testing.T) {
	t.Parallel()
	pgtest.Shared(t) // to be skipped where there is none
	tests := []struct {
		play    string
		status  int
		cleaned bool
	}{
		{"passed", 0, true},
		{"failed", 1, true},
		{"unused", 3, true},
		{"exited", 2, false},
		{"panicked", 2, false},
		{"paused", 2, false},
		{"killed", -1, false},
	}
	for _, tt := range tests {
		t.Run(tt.play, func(t *testing.T) {
			t.Parallel()
			if runtime.GOOS != "linux" && !tt.cleaned {
				t.Skip("only Linux tells a process that its parent has ended")
			}
			dir := open(t)
			all, status := play(t, tt.play, dir)
			if status != tt.status {
				t.Errorf("status %d", status)
			}
			if len(all) == 0 == (tt.play != "unused") {
				t.Fatalf("%d processes", len(all))
			}
			mustEnd(t, all)
			left, err := os.ReadDir(dir)
			if err != nil || (len(left) == 0) != tt.cleaned {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

// A killed test leaves its files to the next one, which leaves those of tests that run.
func TestAbandoned(t *testing.T) {
	t.Parallel()
	pgtest.Shared(t) // to be skipped where there is none
	dir := open(t)
	abandoned := filepath.Join(dir, "pgtest-1", "data")
	other := filepath.Join(dir, "pgtest-2")
	used := filepath.Join(dir, "pgtest-3")
	for _, name := range []string{abandoned, other, used} {
		if err := os.MkdirAll(name, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var lock *os.File
	for _, name := range []string{filepath.Join(dir, "pgtest-1"), used} {
		var err error
		if lock, err = os.Create(filepath.Join(name, "lock")); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = lock.Close() }()
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	play(t, "passed", dir)
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || !slices.Equal(left, []string{other, used}) {
		t.Errorf("left: %v, %v", left, err)
	}
}

// play plays with dir for its files, and returns the processes of the server and the exit status.
func play(t *testing.T, name, dir string) (pids []int, status int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), playVariable+"="+name, "TMPDIR="+dir)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if name == "killed" {
		_ = cmd.Process.Kill()
	}
	if err := cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	line = strings.NewReplacer("[", "", "]", "").Replace(line)
	for word := range strings.FieldsSeq(line) {
		var pid int
		if n, _ := fmt.Sscan(word, &pid); n == 1 {
			pids = append(pids, pid)
		}
	}
	return pids, cmd.ProcessState.ExitCode()
}
