package clients_test

import (
	"syscall"
	"testing"
)

// A file that could not be opened for a moment, here because too many others were open, is read later although nobody
// touches it again. Not parallel, for it takes the file descriptors of the whole process.
func TestLiveTriesAgainWhatCouldNotBeRead(t *testing.T) {
	f := openLive(t, generation(1, 1))
	f.replace(generation(2, 1))
	withoutFiles(t, func() { f.look(true) })
	f.trouble("open " + f.path + ": too many open files")
	f.serves(1)
	f.look(false)
	f.look(false)
	f.trouble("")
	f.serves(2)
}

// withoutFiles calls f while no file can be opened.
func withoutFiles(t *testing.T, f func()) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}
