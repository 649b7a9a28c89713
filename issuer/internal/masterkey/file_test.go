package masterkey_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"example.com/signet/issuer/internal/masterkey"
	"example.com/signet/keys"
)

// A file that others can read, or that they or the group can change, is refused, and the hint mends it.
func TestReadMode(t *testing.T) {
	t.Parallel()
	for mode := range os.FileMode(0o1000) {
		if mode&0o400 == 0 { // which only root can read
			continue
		}
		path := write(t, one, mode)
		ring, err := masterkey.Read(path)
		if mode&0o037 == 0 {
			if err != nil || ring.Newest().ID() != oneID {
				t.Errorf("mode %04o: %v, %v", mode, ring, err)
			}
			continue
		}
		if ring != nil || !errors.Is(err, keys.ErrLooseMode) {
			t.Errorf("mode %04o: %v, %v", mode, ring, err)
			continue
		}
		if want := "reading " + path + ": key file open to others: mode is " + octal(mode); err.Error() != want {
			t.Errorf("error %q\nwant  %q", err, want)
		}
		var hinted interface{ Hint() string }
		if !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), "chmod 600 "+path) {
			t.Errorf("mode %04o: no hint how to mend it", mode)
		}
		if _, err := masterkey.Append(path); !errors.Is(err, keys.ErrLooseMode) {
			t.Errorf("mode %04o: appending: %v", mode, err)
		}
		alone(t, path, one, mode)
	}
}

func octal(mode os.FileMode) string {
	digits := []byte("0000")
	for i := 3; mode > 0; i, mode = i-1, mode>>3 {
		digits[i] += byte(mode & 7)
	}
	return string(digits)
}

// unreadable are what is no file of master keys, by what makes it.
var unreadable = []struct {
	name string
	make func(path string) error
	want error
	say  string // behind the path; "" where the system says it
}{
	{"missing", func(string) error { return nil }, fs.ErrNotExist, ""},
	{"a directory", func(path string) error { return os.Mkdir(path, 0o700) }, masterkey.ErrFile, "not a regular file"},
	{"a pipe", func(path string) error { return syscall.Mkfifo(path, 0o600) }, masterkey.ErrFile, "not a regular file"},
	{"a device", func(path string) error { return os.Symlink("/dev/zero", path) }, masterkey.ErrFile, "not a regular file"},
	{"a link to nothing", func(path string) error { return os.Symlink("nothing", path) }, fs.ErrNotExist, ""},
	{"a link to itself", func(path string) error { return os.Symlink(fileName, path) }, syscall.ELOOP, ""},
	{"garbage", contains("garbage garbage"), masterkey.ErrFile, noKey},
	{"an octet too long", contains(one + "\n#" + strings.Repeat("x", 4096-len(one)-1)), masterkey.ErrFile,
		"longer than 4096 octets"},
	{"much too long", contains(strings.Repeat("#\n", 1<<20)), masterkey.ErrFile, "longer than 4096 octets"},
	{"three keys", contains(one + "\n" + two + "\n" + three), masterkey.ErrFile, "it has 3" + count},
}

func contains(text string) func(path string) error {
	return func(path string) error { return os.WriteFile(path, []byte(text), 0o600) }
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	for _, row := range unreadable {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), fileName)
			if err := row.make(path); err != nil {
				t.Fatal(err)
			}
			ring, err := masterkey.Read(path)
			if ring != nil || !errors.Is(err, row.want) {
				t.Fatalf("%v, %v", ring, err)
			}
			if want := "reading " + path + ": not a file of master keys: " + row.say; row.say != "" && err.Error() != want {
				t.Errorf("error %q\nwant  %q", err, want)
			}
			key, err := masterkey.Append(path)
			if key != nil || !errors.Is(err, row.want) {
				t.Errorf("appending: %v, %v", key, err)
			}
		})
	}
}

// A link is followed, as it is to the file that it leads to, and so is its mode.
func TestReadLink(t *testing.T) {
	t.Parallel()
	for mode, want := range map[os.FileMode]error{0o600: nil, 0o644: keys.ErrLooseMode} {
		link := filepath.Join(t.TempDir(), fileName)
		if err := os.Symlink(write(t, one, mode), link); err != nil {
			t.Fatal(err)
		}
		if _, err := masterkey.Read(link); !errors.Is(err, want) {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
}

func TestReadTheLongest(t *testing.T) {
	t.Parallel()
	text := one + "\n#" + strings.Repeat("x", 4096-len(one)-2)
	if ring, err := masterkey.Read(write(t, text, 0o600)); err != nil || ring.Newest().ID() != oneID {
		t.Errorf("%v, %v", ring, err)
	}
}

// A new file is for its owner alone, has one key, and is read as that.
func TestCreate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), fileName)
	key := must[*masterkey.Key](t)(masterkey.Create(path))
	text := string(must[[]byte](t)(os.ReadFile(path)))
	alone(t, path, text, 0o600)
	if !made.MatchString(text) {
		t.Error("it is another file than is generated")
	}
	ring := must[*masterkey.Ring](t)(masterkey.Read(path))
	if !slices.Equal(ring.IDs(), []string{key.ID()}) {
		t.Errorf("ids %q, want %s", ring.IDs(), key.ID())
	}
	if opened, err := ring.Newest().Open(key.Seal(plain, nil), nil); err != nil || string(opened) != string(plain) {
		t.Errorf("what it sealed is opened: %q, %v", opened, err)
	}
}

// Nothing that is there is replaced or written through.
func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		make func(path string) error
		want error
	}{
		{"a file of keys", contains(one), fs.ErrExist},
		{"an empty file", contains(""), fs.ErrExist},
		{"a directory", func(path string) error { return os.Mkdir(path, 0o700) }, fs.ErrExist},
		{"a link to nothing", func(path string) error { return os.Symlink("elsewhere", path) }, fs.ErrExist},
		{"no directory", func(path string) error { return os.Remove(filepath.Dir(path)) }, fs.ErrNotExist},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "dir", fileName)
			if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o700), row.make(path)); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(path) // which may not be there
			key, err := masterkey.Create(path)
			if key != nil || !errors.Is(err, row.want) || !strings.HasPrefix(err.Error(), "making a master key: ") {
				t.Errorf("%v, %v", key, err)
			}
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Error("it was written")
			}
			if _, err := os.Lstat(filepath.Join(filepath.Dir(path), "elsewhere")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("what the link leads to: %v", err)
			}
		})
	}
}

// Of many who make one at once, one does.
func TestCreateAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), fileName)
	var won atomic.Pointer[masterkey.Key]
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			key, err := masterkey.Create(path)
			if err == nil && won.Swap(key) != nil || err != nil && !errors.Is(err, fs.ErrExist) {
				t.Errorf("%v, %v", key, err)
			}
		})
	}
	all.Wait()
	if ring := must[*masterkey.Ring](t)(masterkey.Read(path)); ring.Newest().ID() != won.Load().ID() {
		t.Errorf("%v has won, and there is %v", won.Load(), ring.Newest())
	}
}

// What cannot be written leaves nothing behind.
func TestCreateWithoutRoom(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), fileName)
	inChild(t, "create", filepath.Dir(path))
	alone(t, path, "", 0)
}

// What a program's umask allows is not what the file allows.
func TestWithoutUmask(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), fileName)
	inChild(t, "umask", filepath.Dir(path))
	alone(t, path, string(must[[]byte](t)(os.ReadFile(path))), 0o600)
}
