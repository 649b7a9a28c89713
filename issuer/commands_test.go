package main

import (
	"bytes"
	"errors"
	"os/exec"
	"slices"
	"strings"
)

// ran is what a command left behind.
type ran struct {
	stdout, stderr string
	code           int
}

// run runs a command of the issuer's with the settings of this home, to its end.
func (h *home) run(args ...string) ran {
	h.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := h.command(args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		h.t.Fatal(err)
	}
	return ran{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// command is a command of the issuer's that has not begun.
func (h *home) command(args ...string) *exec.Cmd {
	cmd := exec.Command("issuer", slices.Concat(h.settings, args)...)
	cmd.Env = environment
	return cmd
}

// environment is all that a program gets: a race detector otherwise makes each end a second late.
var environment = []string{"GORACE=atexit_sleep_ms=0"}

// ok is run for a command that must succeed; it returns what is on stdout, without the line end.
func (h *home) ok(args ...string) string {
	h.t.Helper()
	got := h.run(args...)
	if got.code != exitOK {
		h.t.Fatalf("issuer %s: code %d\n%s", strings.Join(args, " "), got.code, got.stderr)
	}
	return strings.TrimSuffix(got.stdout, "\n")
}
