package pgtest_test

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"

	"example.com/signet/keys/keystest/pgtest"
)

// The kernel takes the end of the thread that started a process for that of its parent.
func TestThreadEnds(t *testing.T) {
	t.Parallel()
	pgtest.Shared(t) // to be skipped where there is none
	started := make(chan *pgtest.Server)
	thread := make(chan string, 1)
	go onOtherThread(func() {
		thread <- fmt.Sprintf("/proc/self/task/%d", syscall.Gettid())
		started <- pgtest.Start(t)
	})
	s := <-started
	name := <-thread
	waitUntil(t, "the thread ends", func() bool {
		_, err := os.Stat(name)
		return err != nil
	})
	mustPrint(t, s, s.URL(), "SELECT 7", "7")
}

// onOtherThread calls f on a thread that ends then: a locked one does, unless it is the first.
func onOtherThread(f func()) {
	runtime.LockOSThread()
	if syscall.Gettid() != os.Getpid() {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		onOtherThread(f)
	}()
	<-done // until then the first thread is ours
	runtime.UnlockOSThread()
}
