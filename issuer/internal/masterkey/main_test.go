package masterkey_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"example.com/signet/issuer/internal/masterkey"
)

const childVariable = "SIGNET_MASTERKEY_TEST_CHILD"

// children are what the test binary does as a process of its own, in its working directory.
var children = map[string]func() error{
	"create": func() error { return withoutRoom(masterkey.Create) },
	"append": func() error { return withoutRoom(masterkey.Append) },
	"umask":  withoutUmask,
}

// TestMain makes the test binary play the child processes too, and fails when a test leaves a goroutine behind.
func TestMain(m *testing.M) {
	if play := children[os.Getenv(childVariable)]; play != nil {
		if err := play(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// withoutRoom makes a key where files may hold 50 octets, and a line needs more.
func withoutRoom(do func(path string) (*masterkey.Key, error)) error {
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 50, Max: 50}); err != nil {
		return err
	}
	key, err := do(fileName)
	if key != nil || !errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("a key that does not fit: %v, %w", key, err)
	}
	return nil
}

// withoutUmask makes keys where nothing but what they ask for keeps others out.
func withoutUmask() error {
	syscall.Umask(0)
	if _, err := masterkey.Create(fileName); err != nil {
		return err
	}
	_, err := masterkey.Append(fileName)
	return err
}

// inChild runs a child in a directory.
func inChild(t *testing.T, name, dir string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+name)
	cmd.Dir = dir
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
}
