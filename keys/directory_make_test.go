package keys_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

func TestDirectoryString(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", ".", "keys/local/issuer", "/var/lib/signet keys/"} {
		if dir := keys.Directory(path); dir.String() != path || fmt.Sprintf("%v", dir) != path {
			t.Errorf("%q says %q", path, dir)
		}
	}
}

// A directory that is made is open to nobody else, and so are those above it that were missing.
func TestDirectoryMake(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	dir := keys.Directory(filepath.Join(top, "deep", "keys"))
	for range 2 { // the second time it is there
		if err := dir.Make(); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{dir.String(), filepath.Dir(dir.String())} {
		if info := must(os.Stat(path)); !info.IsDir() || info.Mode().Perm() != 0o700 {
			t.Errorf("%s has the mode %v", path, info.Mode())
		}
	}
	if err := dir.Add(ringKey(keystest.ES256, 0)); err != nil {
		t.Error(err)
	}
}

// One that is there is left as it is: its mode and its keys are its owner's.
func TestDirectoryMakeOfOneThatIsThere(t *testing.T) {
	t.Parallel()
	dir := ringDir(t)
	if err := os.Chmod(dir.String(), 0o750); err != nil { //nolint:gosec // a directory
		t.Fatal(err)
	}
	if err := unchanged(t, dir, dir.Make); err != nil {
		t.Error(err)
	}
	if info := must(os.Stat(dir.String())); info.Mode().Perm() != 0o750 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestDirectoryMakeRefuses(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	file := writeFile(t, filepath.Join(top, "file"), []byte("not a directory"), 0o600)
	dangling := filepath.Join(top, "dangling")
	if err := os.Symlink("nowhere", dangling); err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		name, path string
		want       error
	}{
		{"a file", file, syscall.ENOTDIR},
		{"below a file", filepath.Join(file, "keys"), syscall.ENOTDIR},
		{"a link that leads nowhere", dangling, fs.ErrExist},
		{"nothing", "", fs.ErrNotExist},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if err := keys.Directory(row.path).Make(); !errors.Is(err, row.want) {
				t.Errorf("got %v, want %v", err, row.want)
			}
		})
	}
	if text := must(os.ReadFile(file)); string(text) != "not a directory" {
		t.Errorf("the file has %q", text)
	}
}
