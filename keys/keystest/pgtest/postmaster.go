package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience is how long a server may take to start or to stop. It is long, for a busy machine.
const patience = 60 * time.Second

// postmaster is the process that PostgreSQL's others are children of; each of those is in a session of its own.
type postmaster struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has; then err is set
	err   error
	guard *exec.Cmd // while it is held
}

// startPostmaster starts the process on a thread that lives as long as it: PR_SET_PDEATHSIG, prctl(2), goes by the
// thread that started a process, and Go ends threads as it likes.
func startPostmaster(cmd *exec.Cmd) (*postmaster, error) {
	p := &postmaster{cmd: cmd, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.ended)
		}
	}()
	return p, <-started
}

func (p *postmaster) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// await waits until the server takes connections. It reads that from the data directory, as pg_ctl does: on the port it
// may be another that answers.
func (p *postmaster) await(data string) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patience)
	for !p.ready(data) {
		select {
		case <-p.ended:
			return fmt.Errorf("postgres ended: %w", p.err)
		case <-timeout:
			p.kill()
			return errors.New("postgres did not start in time")
		case <-tick.C:
		}
	}
	return nil
}

// ready reads what src/include/utils/pidfile.h of PostgreSQL describes.
func (p *postmaster) ready(data string) bool {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return false
	}
	lines := strings.Split(string(text), "\n")
	return len(lines) > 7 && lines[0] == strconv.Itoa(p.cmd.Process.Pid) && strings.TrimSpace(lines[7]) == "ready"
}

// stop lets the server end its sessions and write what it has.
func (p *postmaster) stop() error {
	p.resume()
	_ = p.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-p.ended:
		return nil
	case <-time.After(patience):
		p.kill()
		return errors.New("postgres did not stop in time")
	}
}

// kill ends the processes of the sessions at once, whatever they are at, and the postmaster, which only removes its
// shared memory. What follows is the recovery from a crash.
func (p *postmaster) kill() {
	sessions, _ := p.pause()
	for _, child := range sessions {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	_ = p.cmd.Process.Signal(syscall.SIGQUIT)
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
	p.dismiss()
	select {
	case <-p.ended:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// pause stops the postmaster, so that there are no more children, and then those, which it returns. A child that was on
// its way may be late: it looks until it finds none that is new.
func (p *postmaster) pause() (stopped []int, err error) {
	_ = p.cmd.Process.Signal(syscall.SIGSTOP)
	for {
		found, err := children(p.cmd.Process.Pid)
		known := len(stopped)
		for _, child := range found {
			if !slices.Contains(stopped, child) {
				_ = syscall.Kill(child, syscall.SIGSTOP)
				stopped = append(stopped, child)
			}
		}
		if err != nil || len(stopped) == known {
			return stopped, err
		}
	}
}

// hold is pause with a guard, which lets the processes go on should we end before resume: one that stands still would
// not hear of our end.
func (p *postmaster) hold() error {
	if p.guard != nil {
		return nil
	}
	pids, err := p.pause()
	if err != nil {
		return err
	}
	args := []string{"-c", `read -r _; kill -CONT "$@"`, "sh", strconv.Itoa(p.cmd.Process.Pid)}
	for _, pid := range pids {
		args = append(args, strconv.Itoa(pid))
	}
	guard := exec.Command("sh", args...)
	guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if _, err := guard.StdinPipe(); err != nil { // its other end closes when we end
		return err
	}
	if err := guard.Start(); err != nil {
		return err
	}
	p.guard = guard
	return nil
}

// resume is the end of a pause; without one, nothing happens.
func (p *postmaster) resume() {
	found, _ := children(p.cmd.Process.Pid)
	for _, child := range found {
		_ = syscall.Kill(child, syscall.SIGCONT)
	}
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
	p.dismiss()
}

func (p *postmaster) dismiss() {
	if p.guard == nil {
		return
	}
	_ = p.guard.Process.Kill()
	_ = p.guard.Wait()
	p.guard = nil
}
