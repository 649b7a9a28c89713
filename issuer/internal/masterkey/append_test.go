package masterkey_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"example.com/signet/issuer/internal/masterkey"
)

// A second key comes last, and all that was there stays as it was.
func TestAppend(t *testing.T) {
	t.Parallel()
	rows := []struct{ name, before, between string }{
		{"as it is made", one + "\n", ""},
		{"without an end", one, "\n"},
		{"with comments", "# one\n" + one + "\n# two will be here", "\n"},
		{"lines as Windows ends them", one + "\r\n", ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			path := write(t, row.before, 0o600)
			key := must[*masterkey.Key](t)(masterkey.Append(path))
			text := string(must[[]byte](t)(os.ReadFile(path)))
			alone(t, path, text, 0o600)
			line, ok := strings.CutPrefix(text, row.before+row.between)
			if !ok || !made.MatchString(line) {
				t.Error("what was there is another")
			}
			ring := must[*masterkey.Ring](t)(masterkey.Read(path))
			if ids := ring.IDs(); len(ids) != 2 || ids[0] != oneID || ids[1] != key.ID() || ring.Newest().ID() != key.ID() {
				t.Errorf("ids %q, want %s and %s", ids, oneID, key.ID())
			}
		})
	}
}

// A third key is refused: until all is sealed under the second, the first is needed.
func TestAppendAThird(t *testing.T) {
	t.Parallel()
	path := write(t, one+"\n"+two+"\n", 0o600)
	key, err := masterkey.Append(path)
	want := "adding a master key to " + path + ": not a file of master keys: it has two keys already"
	if key != nil || !errors.Is(err, masterkey.ErrFile) || err.Error() != want {
		t.Errorf("%v, %v", key, err)
	}
	alone(t, path, one+"\n"+two+"\n", 0o600)
}

// A file that is as long as one may be does not become one that nobody can read.
func TestAppendToTheLongest(t *testing.T) {
	t.Parallel()
	text := one + "\n#" + strings.Repeat("x", 4096-len(one)-3) + "\n"
	path := write(t, text, 0o600)
	if key, err := masterkey.Append(path); key != nil || !errors.Is(err, masterkey.ErrFile) {
		t.Errorf("%v, %v", key, err)
	}
	alone(t, path, text, 0o600)
}

// What cannot be written leaves what was there, and nothing else.
func TestAppendWithoutRoom(t *testing.T) {
	t.Parallel()
	path := write(t, one, 0o640)
	inChild(t, "append", filepath.Dir(path))
	alone(t, path, one, 0o640)
}

// Whoever could read the file still can: an issuer in its group.
func TestAppendKeepsTheReaders(t *testing.T) {
	t.Parallel()
	for _, mode := range []os.FileMode{0o600, 0o640, 0o440, 0o400} {
		path := write(t, one, mode)
		group := os.Getegid()
		if os.Geteuid() == 0 { // who may give files away
			group = 1
		}
		if err := os.Chown(path, -1, group); err != nil {
			t.Fatal(err)
		}
		must[*masterkey.Key](t)(masterkey.Append(path))
		info := must[os.FileInfo](t)(os.Stat(path))
		if got := info.Sys().(*syscall.Stat_t).Gid; info.Mode() != mode || got != uint32(group) {
			t.Errorf("mode %v and group %d, and they were %v and %d", info.Mode(), got, mode, group)
		}
	}
}

// A link stays one, and so every name of the file leads to both keys.
func TestAppendThroughALink(t *testing.T) {
	t.Parallel()
	path, link := write(t, one, 0o600), filepath.Join(t.TempDir(), fileName)
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	key := must[*masterkey.Key](t)(masterkey.Append(link))
	for _, name := range []string{path, link} {
		if ring := must[*masterkey.Ring](t)(masterkey.Read(name)); ring.Newest().ID() != key.ID() {
			t.Errorf("%s has %v", name, ring.IDs())
		}
	}
	alone(t, path, string(must[[]byte](t)(os.ReadFile(link))), 0o600)
}

// Whoever reads meanwhile finds the file as it was or as it is, never a part of it.
func TestAppendIsAtomic(t *testing.T) {
	t.Parallel()
	path := write(t, one, 0o600)
	for range 50 {
		done := make(chan struct{})
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				for before := 1; ; {
					ring, err := masterkey.Read(path)
					if err != nil || len(ring.IDs()) < before || ring.IDs()[0] != oneID {
						t.Errorf("%v, %v", ring, err)
						return
					}
					before = len(ring.IDs())
					select {
					case <-done:
						return
					default:
					}
				}
			})
		}
		must[*masterkey.Key](t)(masterkey.Append(path))
		close(done)
		all.Wait()
		if err := os.WriteFile(path+".new", []byte(one), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
}
