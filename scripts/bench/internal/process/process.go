//go:build linux

// Package process runs the servers that are compared, each on a core of its choice, and counts the time that its threads
// ran. It needs Linux.
package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Command is a server to start. It says where it listens in a line of JSON on standard error, with the members listen
// and, where there is a private listener, private_listen.
type Command struct {
	Name string   // in errors, and of the log's file: no other server in Dir has it
	Dir  string   // for the log; the server's HOME
	Core string   // the core that it runs on, by taskset; empty: any
	Args []string // the program and its arguments
}

// Process is a server that runs, with GOMAXPROCS=1. It is not safe for concurrent use.
type Process struct {
	Name    string
	Address string // where it listens
	Private string // its private listener; may be empty

	log   *os.File
	cmd   *exec.Cmd
	ended chan error
}

// Start runs the server, its standard error in a file, and waits until it listens. The caller stops it; when ctx ends,
// it stops too.
func Start(ctx context.Context, c Command) (*Process, error) {
	args := c.Args
	if c.Core != "" {
		args = append([]string{"taskset", "-c", c.Core}, args...)
	}
	log, err := os.OpenFile(filepath.Join(c.Dir, c.Name+".log"), os.O_CREATE|os.O_RDWR|os.O_APPEND|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = []string{"GOMAXPROCS=1", "HOME=" + c.Dir, "PATH=" + os.Getenv("PATH")}
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} // however we end, no server is left behind
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 15 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	p := &Process{Name: c.Name, log: log, cmd: cmd, ended: make(chan error, 1)}
	go func() { p.ended <- cmd.Wait() }()
	if err := p.await(); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

const startTimeout = 60 * time.Second

// await reads the addresses from the log line that has them.
func (p *Process) await() error {
	deadline := time.After(startTimeout)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-p.ended:
			p.ended <- err
			return fmt.Errorf("%s ended: %w: %.2000s", p.Name, err, p.Log())
		case <-deadline:
			return fmt.Errorf("%s did not start: %.2000s", p.Name, p.Log())
		case <-tick.C:
		}
		if p.Address, p.Private = addresses(p.Log()); p.Address != "" {
			return nil
		}
	}
}

// addresses reads the first JSON line that has an address to listen on.
func addresses(log []byte) (public, private string) {
	for line := range bytes.Lines(log) {
		var said struct {
			Listen  string `json:"listen"`
			Private string `json:"private_listen"`
		}
		if json.Unmarshal(line, &said) == nil && said.Listen != "" {
			return said.Listen, said.Private
		}
	}
	return "", ""
}

// Log returns what the server has written to standard error, since [Process.EmptyLog].
func (p *Process) Log() []byte {
	text, err := os.ReadFile(p.log.Name())
	if err != nil {
		return []byte(err.Error())
	}
	return text
}

// EmptyLog forgets what the server has written, so that it does not fill the disk.
func (p *Process) EmptyLog() error { return p.log.Truncate(0) }

// Stop asks the server to end and waits until it has. Stopping twice is harmless.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	p.ended <- <-p.ended
	_ = p.log.Close()
}
