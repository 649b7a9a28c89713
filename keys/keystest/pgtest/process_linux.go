package pgtest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// attributes are those of a process that does not get our terminal's signals, and ends at once when we do, however that
// comes: the kernel tells it, see startPostmaster.
func attributes(cred *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: cred, Setpgid: true, Pdeathsig: syscall.SIGQUIT}
}

// children returns the processes that pid started and that have not ended.
func children(pid int) (pids []int, err error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil { // it has ended since
			continue
		}
		var state string
		var parent int
		// The command stands in parentheses and may have some of its own, proc_pid_stat(5).
		_, err = fmt.Sscan(string(stat[bytes.LastIndexByte(stat, ')')+1:]), &state, &parent)
		if err != nil || parent != pid || state == "Z" {
			continue
		}
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			return nil, err
		}
		pids = append(pids, child)
	}
	return pids, nil
}

// roomy is what the servers of a package's tests may come to, and several packages' run at a time.
const roomy = 2 << 30

// memory returns the directory whose files are in memory, if it has enough.
func memory() []string {
	const dir = "/dev/shm"
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil || fs.Bavail*uint64(fs.Bsize) < roomy {
		return nil
	}
	return []string{dir}
}
