package pgtest_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"example.com/signet/keys/keystest/pgtest"
)

// open makes a directory that any user can reach, unlike that of t.TempDir.
func open(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(append(pgtest.Memory(), "/tmp")[0], "pgtest-open-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestReachable(t *testing.T) {
	t.Parallel()
	dir := open(t)
	for name, mode := range map[string]os.FileMode{"closed": 0o770, "readable": 0o774, "enterable": 0o771} {
		if err := os.MkdirAll(filepath.Join(dir, name, "in"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"closed": false, "closed/in": false, "readable/in": false, "missing": false, "file": false,
		"": true, "enterable": true, "enterable/in": true,
	} {
		if got := pgtest.Reachable(filepath.Join(dir, name)); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

// Root's own temporary directory may be closed to the user that PostgreSQL runs as.
func TestNewRoom(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root runs PostgreSQL as another user")
	}
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", closed)
	dir, remove, err := pgtest.NewRoom(&syscall.Credential{Uid: 54321, Gid: 54322})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := remove(); err != nil {
			t.Error(err)
		}
	}()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	if strings.HasPrefix(dir, closed) || info.Mode().Perm() != 0o700 || owner.Uid != 54321 || owner.Gid != 54322 {
		t.Errorf("%s: %v of %d and %d", dir, info.Mode(), owner.Uid, owner.Gid)
	}
}
