// Package watch tells when files have changed and stand still again, so that a file is not read while somebody writes it.
//
//	var files watch.Files
//	watch.Run(ctx, time.Second, hangups, func(now bool) {
//		if state := watch.State(paths); files.Changed(state) || now {
//			read()
//			files.Seen(state)
//		}
//	})
package watch

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// State is what tells one content of files from another without reading them: names, modes, owners, sizes, times and inodes. A
// file that is not there has a state too. Links are followed: where Kubernetes lays files, what counts is what the links
// point to.
func State(paths []string) string {
	var state strings.Builder
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			fmt.Fprintf(&state, "%q absent\n", path)
			continue
		}
		var inode uint64
		var owner, group uint32
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			inode, owner, group = stat.Ino, stat.Uid, stat.Gid
		}
		fmt.Fprintf(&state, "%q %v %d %d %d %d %d\n", path, info.Mode(), owner, group, info.Size(), info.ModTime().UnixNano(), inode)
	}
	return state.String()
}

// Files follows files. It belongs to one goroutine; the zero value has seen nothing yet.
type Files struct {
	seen    string // the state that was taken over
	pending string // the state at the last look, when it was another
}

// Seen notes that the files were read when they were in that state.
func (f *Files) Seen(state string) { f.seen, f.pending = state, "" }

// Changed reports whether the files are in another state than the one last seen, and have been for two looks: a file that
// somebody writes changes between looks.
func (f *Files) Changed(state string) bool {
	if state == f.seen {
		f.pending = ""
		return false
	}
	still := state == f.pending
	f.pending = state
	return still
}

// Run calls look every so often until ctx ends, and with now set whenever wake says so.
func Run(ctx context.Context, every time.Duration, wake <-chan struct{}, look func(now bool)) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			look(false)
		case <-wake:
			look(true)
		}
	}
}
