//go:build !linux

package pgtest

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
)

// attributes are those of a process that does not get our terminal's signals. It stays when we are killed.
func attributes(cred *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: cred, Setpgid: true}
}

// children returns the processes that pid started and that have not ended.
func children(pid int) (pids []int, err error) {
	output, err := exec.Command("ps", "-A", "-o", "pid=,ppid=,state=").Output()
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	for line := range bytes.Lines(output) {
		var child, parent int
		var state string
		_, err := fmt.Sscan(string(line), &child, &parent, &state)
		if err == nil && parent == pid && !strings.HasPrefix(state, "Z") {
			pids = append(pids, child)
		}
	}
	return pids, nil
}

// memory returns no directory whose files are in memory.
func memory() []string { return nil }
