package keys_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// directoryErrors are the errors of a [keys.Directory], beside [sentinels].
var directoryErrors = []error{keys.ErrTaken, keys.ErrUnknownKID, keys.ErrReadOnly}

func wantDirectoryError(t *testing.T, err, want error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Fatalf("got %v, want %v that says %q", err, want, text)
	}
	for _, sentinel := range slices.Concat(directoryErrors, sentinels) {
		if errors.Is(err, sentinel) != (sentinel == want) {
			t.Errorf("errors.Is(%q, %q) = %v", err, sentinel, sentinel != want)
		}
	}
}

// ringDir is a directory with the two ES256 keys at hours 0 and 10.
func ringDir(t *testing.T) keys.Directory {
	t.Helper()
	dir := keys.Directory(t.TempDir())
	for _, k := range []keys.RingKey{ringKey(keystest.ES256, 0), ringKey(keystest.ES256Other, 10)} {
		if err := dir.Add(k); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func inDir(dir keys.Directory, name string) string { return filepath.Join(string(dir), name) }

// es256File is the name of an ES256 key that signs from so many hours after start.
func es256File(hours int) string { return keys.FileName(keys.ES256, at(hours)) }

// content is every file of a directory, by name, with what is in it.
func content(t *testing.T, dir keys.Directory) map[string]string {
	t.Helper()
	files := make(map[string]string)
	for _, entry := range must(os.ReadDir(string(dir))) {
		files[entry.Name()] = string(must(os.ReadFile(inDir(dir, entry.Name()))))
	}
	return files
}

// unchanged runs what must fail, and checks that it left the directory as it was.
func unchanged(t *testing.T, dir keys.Directory, do func() error) error {
	t.Helper()
	before := content(t, dir)
	err := do()
	if diff := cmp.Diff(before, content(t, dir)); diff != "" {
		t.Errorf("the directory has changed: %s", diff)
	}
	return err
}

func TestDirectoryAdd(t *testing.T) {
	t.Parallel()
	dir := keys.Directory(t.TempDir())
	before := time.Now().Add(-time.Minute)
	if err := dir.Add(ringKey(keystest.ES256, 0)); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"es256-20261123T101500Z.pem": string(keystest.PEM(keystest.ES256))}
	if diff := cmp.Diff(want, content(t, dir)); diff != "" {
		t.Error(diff)
	}
	if info := must(os.Stat(inDir(dir, es256File(0)))); info.Mode() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	survey := tenHours.SurveyOf(must(dir.Read()), keys.ES256, at(1))
	if k := survey.Active(); k == nil || k.Key.ID() != idOf(keystest.ES256) || !k.SignsFrom.Equal(at(0)) || k.PublishedAt.Before(before) {
		t.Errorf("read back: %+v", k)
	}
}

func TestDirectoryAddTaken(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		key  keys.RingKey
		say  string
	}{
		{"another key, that second", keys.RingKey{Key: must(keys.GenerateKey(keys.ES256)), SignsFrom: at(0)}, es256File(0)},
		{"another key, within that second",
			keys.RingKey{Key: must(keys.GenerateKey(keys.ES256)), SignsFrom: at(0).Add(time.Second - 1)}, es256File(0)},
		{"the same key, that second", ringKey(keystest.ES256, 0), es256File(0)},
		{"the same key, another second", ringKey(keystest.ES256, 5), es256File(0)},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			dir := ringDir(t)
			err := unchanged(t, dir, func() error { return dir.Add(row.key) })
			wantDirectoryError(t, err, keys.ErrTaken, row.say)
		})
	}
	dir := ringDir(t)
	if err := dir.Add(ringKey(keystest.RS256, 0)); err != nil {
		t.Errorf("that second for another algorithm: %v", err)
	}
}

// Of all that add a key for one second at once, one does.
func TestDirectoryAddElectsOne(t *testing.T) {
	t.Parallel()
	dir := keys.Directory(t.TempDir())
	var added, taken atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		key := keys.RingKey{Key: must(keys.GenerateKey(keys.ES256)), SignsFrom: at(0)}
		all.Go(func() {
			switch err := dir.Add(key); {
			case err == nil:
				added.Add(1)
			case errors.Is(err, keys.ErrTaken):
				taken.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if added.Load() != 1 || taken.Load() != 7 || len(content(t, dir)) != 1 {
		t.Errorf("%d added, %d taken, %d files", added.Load(), taken.Load(), len(content(t, dir)))
	}
}

// unwritable are directories that are somebody else's to write, root's too.
func unwritable(t *testing.T) map[string]keys.Directory {
	t.Helper()
	dir := t.TempDir()
	all := map[string]keys.Directory{}
	if _, err := os.Stat("/sys/kernel"); err == nil {
		all["the kernel's own"] = "/sys/kernel"
	}
	if os.Geteuid() != 0 {
		closed := filepath.Join(dir, "closed")
		if err := os.Mkdir(closed, 0o500); err != nil {
			t.Fatal(err)
		}
		all["mode 0500"] = keys.Directory(closed)
	}
	return all
}

func TestDirectoryReadOnly(t *testing.T) {
	t.Parallel()
	for name, dir := range unwritable(t) {
		t.Run(name, func(t *testing.T) {
			wantDirectoryError(t, dir.Writable(), keys.ErrReadOnly, string(dir))
			wantDirectoryError(t, dir.Add(ringKey(keystest.ES256, 0)), keys.ErrReadOnly, string(dir))
		})
	}
}

// A directory that cannot be written for another reason is trouble, and nobody else's job.
func TestDirectoryInTrouble(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rows := map[string]keys.Directory{
		"no directory": keys.Directory(filepath.Join(dir, "missing")),
		"a file":       keys.Directory(writeFile(t, filepath.Join(dir, "file"), nil, 0o600)),
	}
	for name, dir := range rows {
		t.Run(name, func(t *testing.T) {
			for _, err := range []error{dir.Writable(), dir.Add(ringKey(keystest.ES256, 0))} {
				if err == nil || errors.Is(err, keys.ErrReadOnly) || !strings.Contains(err.Error(), string(dir)) {
					t.Errorf("error %v", err)
				}
			}
		})
	}
}

func TestDirectoryWritable(t *testing.T) {
	t.Parallel()
	dir := ringDir(t)
	state := must(dir.State())
	if err := unchanged(t, dir, dir.Writable); err != nil {
		t.Error(err)
	}
	if must(dir.State()) != state {
		t.Error("asking has changed the state")
	}
}

// Children of this test binary: what needs a process of its own. They work on the directory in the working directory.
const (
	childVariable = "SIGNET_KEYS_TEST_CHILD"
	here          = keys.Directory(".")
)

var children = map[string]func() int{
	"full disk": childFullDisk,
	"hold":      childHold,
	"count":     childCount,
}

func child(t *testing.T, name string, dir keys.Directory) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), must(os.Executable()))
	cmd.Env = append(os.Environ(), childVariable+"="+name)
	cmd.Dir, cmd.Stderr = string(dir), t.Output()
	return cmd
}

func complain(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// childFullDisk cannot write a whole key: files may hold a hundred octets, and a key needs more.
func childFullDisk() int {
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: 100, Max: 100}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return complain(err)
	}
	if err := here.Add(ringKey(keystest.RS256, 0)); !errors.Is(err, syscall.EFBIG) || errors.Is(err, keys.ErrReadOnly) {
		return complain(fmt.Errorf("adding a key that does not fit: %w", err))
	}
	return 0
}

func TestDirectoryAddFullDisk(t *testing.T) {
	t.Parallel()
	dir := ringDir(t)
	if err := unchanged(t, dir, child(t, "full disk", dir).Run); err != nil {
		t.Error(err)
	}
}

func TestDirectoryMove(t *testing.T) {
	t.Parallel()
	dir := ringDir(t)
	published := at(-1000)
	if err := os.Chtimes(inDir(dir, es256File(10)), published, published); err != nil {
		t.Fatal(err)
	}
	want := content(t, dir)
	if err := dir.Move(idOf(keystest.ES256Other), at(5).Add(time.Second-1)); err != nil {
		t.Fatal(err)
	}
	want[es256File(5)] = want[es256File(10)]
	delete(want, es256File(10))
	if diff := cmp.Diff(want, content(t, dir)); diff != "" {
		t.Error(diff)
	}
	survey := tenHours.SurveyOf(must(dir.Read()), keys.ES256, at(5))
	if k := survey.Active(); k.Key.ID() != idOf(keystest.ES256Other) || !k.PublishedAt.Equal(published) {
		t.Errorf("active is %v, published at %v", k.Key, k.PublishedAt)
	}
}

func TestDirectoryMoveRefuses(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		kid  string
		to   time.Time
		want error // nil when it is no change
		say  string
	}{
		{"to where it is", idOf(keystest.ES256), at(0), nil, ""},
		{"to within the second where it is", idOf(keystest.ES256), at(0).Add(1), nil, ""},
		{"to another key's second", idOf(keystest.ES256), at(10), keys.ErrTaken, es256File(10)},
		{"to within another key's second", idOf(keystest.ES256), at(10).Add(time.Second - 1), keys.ErrTaken, es256File(10)},
		{"of another algorithm", idOf(keystest.RS256), at(5), keys.ErrUnknownKID, idOf(keystest.RS256)},
		{"no kid", "", at(5), keys.ErrUnknownKID, `""`},
		{"a kid with control characters", "\x1b[2J\n", at(5), keys.ErrUnknownKID, `"\x1b[2J\n"`},
		{"a long kid", strings.Repeat("k", 1000), at(5), keys.ErrUnknownKID, `"` + strings.Repeat("k", 64) + `"`},
		{"a file's name for a kid", es256File(0), at(5), keys.ErrUnknownKID, es256File(0)},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			dir := ringDir(t)
			err := unchanged(t, dir, func() error { return dir.Move(row.kid, row.to) })
			if row.want != nil {
				wantDirectoryError(t, err, row.want, row.say)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	err := keys.Directory(filepath.Join(t.TempDir(), "missing")).Move(idOf(keystest.ES256), at(5))
	wantDirectoryError(t, err, nil, "missing")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}

func TestDirectoryRemove(t *testing.T) {
	t.Parallel()
	dir := ringDir(t)
	err := unchanged(t, dir, func() error { return dir.Remove(idOf(keystest.RS256)) })
	wantDirectoryError(t, err, keys.ErrUnknownKID, idOf(keystest.RS256))
	want := content(t, dir)
	delete(want, es256File(0))
	if err := dir.Remove(idOf(keystest.ES256)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, content(t, dir)); diff != "" {
		t.Error(diff)
	}
}

// A ring that does not load because of one file can be mended with the others.
func TestDirectoryMendsBadRing(t *testing.T) {
	t.Parallel()
	dir := ringDir(t)
	bad := writeFile(t, inDir(dir, "es256-20270101T000000Z.pem"), keystest.PEM(keystest.RS256), 0o600)
	if _, err := dir.Read(); !errors.Is(err, keys.ErrKey) {
		t.Fatal(err)
	}
	if err := dir.Move(idOf(keystest.ES256Other), at(5)); err != nil {
		t.Error(err)
	}
	if err := dir.Remove(idOf(keystest.ES256)); err != nil {
		t.Error(err)
	}
	if err := os.Remove(bad); err != nil {
		t.Fatal(err)
	}
	if got := kidsOf(must(dir.Read()).Published(at(5))); !slices.Equal(got, []string{idOf(keystest.ES256Other)}) {
		t.Errorf("got %v", got)
	}
}

// Each operation stopped after each of its steps leaves a ring that loads, the ring before or the ring after; the
// next removal clears away what was left. Move and Remove are one step each.
func TestDirectoryStopped(t *testing.T) {
	t.Parallel()
	const unfinished = ".unfinished-123"
	text := keystest.PEM(keystest.RS256)
	file := keys.FileName(keys.RS256, at(20))
	rows := []struct {
		name  string
		steps func(t *testing.T, dir keys.Directory)
		added bool
	}{
		{"temp made", func(t *testing.T, dir keys.Directory) { writeFile(t, inDir(dir, unfinished), nil, 0o600) }, false},
		{"temp half written", func(t *testing.T, dir keys.Directory) { writeFile(t, inDir(dir, unfinished), text[:100], 0o600) }, false},
		{"temp written, not linked", func(t *testing.T, dir keys.Directory) { writeFile(t, inDir(dir, unfinished), text, 0o600) }, false},
		{"linked, temp not removed", func(t *testing.T, dir keys.Directory) {
			if err := os.Link(writeFile(t, inDir(dir, unfinished), text, 0o600), inDir(dir, file)); err != nil {
				t.Fatal(err)
			}
		}, true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			dir := ringDir(t)
			row.steps(t, dir)
			want := []string{idOf(keystest.ES256), idOf(keystest.ES256Other)}
			if row.added {
				want = []string{idOf(keystest.ES256), idOf(keystest.RS256), idOf(keystest.ES256Other)}
			}
			if got := kidsOf(must(dir.Read()).Published(at(1))); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			err := dir.Add(ringKey(keystest.RS256, 20))
			if row.added != errors.Is(err, keys.ErrTaken) || !row.added && err != nil {
				t.Errorf("once more: %v", err)
			}
			if err := dir.Remove(idOf(keystest.RS256)); err != nil {
				t.Error(err)
			}
			if left := content(t, dir); len(left) != 2 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// Whoever reads while others change the ring gets a ring, and a state.
func TestDirectoryReadWhileItChanges(t *testing.T) {
	t.Parallel()
	dir := ringDir(t)
	stop := make(chan struct{})
	var changing sync.WaitGroup
	changing.Go(func() {
		for hours := 11; ; hours++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := errors.Join(dir.Move(idOf(keystest.ES256Other), at(hours)), dir.Add(ringKey(keystest.RS256, hours)),
				dir.Remove(idOf(keystest.RS256))); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 300 {
		if _, err := dir.Read(); err != nil {
			t.Error(err)
		}
		if _, err := dir.State(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	changing.Wait()
}

func TestDirectoryReadDanglingLink(t *testing.T) {
	t.Parallel()
	dir := ringDir(t)
	if err := os.Symlink("nowhere", inDir(dir, es256File(20))); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Read(); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, keys.ErrNoKeys) {
		t.Errorf("got %v", err)
	}
}

func TestDirectoryLockExcludes(t *testing.T) {
	t.Parallel()
	dir := ringDir(t)
	var holders atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				unlock, err := dir.Lock()
				if err != nil {
					t.Error(err)
					return
				}
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d hold the lock", n)
				}
				runtime.Gosched()
				holders.Add(-1)
				unlock()
			}
		})
	}
	all.Wait()
	if len(content(t, dir)) != 2 {
		t.Error("the lock has left a file")
	}
}

const (
	counter     = "counter"
	countsEach  = 200
	countingNow = 3
)

// childCount counts up in a file, which comes out right only when nobody else does so between its read and its write.
func childCount() int {
	for range countsEach {
		if err := countUp(here); err != nil {
			return complain(err)
		}
	}
	return 0
}

func countUp(dir keys.Directory) error {
	unlock, err := dir.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	text, err := os.ReadFile(inDir(dir, counter))
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(string(text))
	if err != nil {
		return err
	}
	return os.WriteFile(inDir(dir, counter), []byte(strconv.Itoa(n+1)), 0o600)
}

func TestDirectoryLockExcludesProcesses(t *testing.T) {
	t.Parallel()
	dir := ringDir(t)
	writeFile(t, inDir(dir, counter), []byte("0"), 0o600)
	var all []*exec.Cmd
	for range countingNow {
		cmd := child(t, "count", dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, cmd)
	}
	for _, cmd := range all {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	if got := content(t, dir)[counter]; got != strconv.Itoa(countingNow*countsEach) {
		t.Errorf("counted to %s", got)
	}
}

// childHold takes the lock, says so, and holds it until it is killed.
func childHold() int {
	if _, err := here.Lock(); err != nil {
		return complain(err)
	}
	fmt.Println("locked")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

func TestDirectoryLockEndsWithItsProcess(t *testing.T) {
	t.Parallel()
	dir := ringDir(t)
	cmd := child(t, "hold", dir)
	stdin, stdout := must(cmd.StdinPipe()), must(cmd.StdoutPipe())
	defer stdin.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "locked\n" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	file := must(os.Open(string(dir)))
	defer file.Close()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("while the child holds it: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	unlock, err := dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestDirectoryLockNoDirectory(t *testing.T) {
	t.Parallel()
	_, err := keys.Directory(filepath.Join(t.TempDir(), "missing")).Lock()
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestDirectoryState(t *testing.T) {
	t.Parallel()
	const file = "es256-20261123T101500Z.pem"
	other := keystest.PEM(keystest.RS256)
	rows := []struct {
		name    string
		do      func(dir keys.Directory) error
		changes bool
	}{
		{"nothing", func(keys.Directory) error { return nil }, false},
		{"read", func(dir keys.Directory) error { _, err := dir.Read(); return err }, false},
		{"locked", func(dir keys.Directory) error { unlock, err := dir.Lock(); unlock(); return err }, false},
		{"an unrelated file", func(dir keys.Directory) error { return os.WriteFile(inDir(dir, "README"), nil, 0o600) }, false},
		{"an unfinished key", func(dir keys.Directory) error { return os.WriteFile(inDir(dir, ".unfinished-1"), other, 0o600) }, false},
		{"an unrelated link that dangles", func(dir keys.Directory) error { return os.Symlink("nowhere", inDir(dir, "..data")) }, false},
		{"added", func(dir keys.Directory) error { return dir.Add(ringKey(keystest.RS256, 20)) }, true},
		{"added by hand in capitals", func(dir keys.Directory) error { return os.WriteFile(inDir(dir, "A.PEM"), other, 0o600) }, true},
		{"removed", func(dir keys.Directory) error { return dir.Remove(idOf(keystest.ES256)) }, true},
		{"moved", func(dir keys.Directory) error { return dir.Move(idOf(keystest.ES256), at(5)) }, true},
		{"renamed away", func(dir keys.Directory) error { return os.Rename(inDir(dir, file), inDir(dir, file+".old")) }, true},
		{"two swapped, of one size and time", func(dir keys.Directory) error {
			return errors.Join(
				os.Rename(inDir(dir, file), inDir(dir, "x")),
				os.Rename(inDir(dir, es256File(10)), inDir(dir, file)),
				os.Rename(inDir(dir, "x"), inDir(dir, es256File(10))))
		}, true},
		{"replaced, by one of the same size and time", func(dir keys.Directory) error {
			return errors.Join(
				os.WriteFile(inDir(dir, "x"), keystest.PEM(keystest.ES256), 0o600),
				os.Chtimes(inDir(dir, "x"), at(0), at(0)),
				os.Rename(inDir(dir, "x"), inDir(dir, file)))
		}, true},
		{"overwritten", func(dir keys.Directory) error { return os.WriteFile(inDir(dir, file), other, 0o600) }, true},
		{"touched", func(dir keys.Directory) error { return os.Chtimes(inDir(dir, file), at(1), at(1)) }, true},
		{"chmod", func(dir keys.Directory) error { return os.Chmod(inDir(dir, file), 0o400) }, true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			dir := ringDir(t)
			for _, name := range []string{file, es256File(10)} {
				if err := os.Chtimes(inDir(dir, name), at(0), at(0)); err != nil {
					t.Fatal(err)
				}
			}
			before := must(dir.State())
			if err := row.do(dir); err != nil {
				t.Fatal(err)
			}
			if after := must(dir.State()); (after != before) != row.changes {
				t.Errorf("before: %s\nafter: %s", before, after)
			}
		})
	}
}

// The way of Kubernetes: each key is a link to ..data, a link that is swapped for one to a new directory.
func TestDirectoryStateKubernetes(t *testing.T) {
	t.Parallel()
	dir := keys.Directory(t.TempDir())
	lay := func(version, key string) {
		t.Helper()
		if err := errors.Join(os.Mkdir(inDir(dir, version), 0o700),
			os.WriteFile(inDir(dir, version+"/"+es256File(0)), keystest.PEM(key), 0o600),
			os.Chtimes(inDir(dir, version+"/"+es256File(0)), at(0), at(0)),
			os.Symlink(version, inDir(dir, "..data_tmp")),
			os.Rename(inDir(dir, "..data_tmp"), inDir(dir, "..data"))); err != nil {
			t.Fatal(err)
		}
	}
	lay("..1", keystest.ES256)
	if err := os.Symlink("..data/"+es256File(0), inDir(dir, es256File(0))); err != nil {
		t.Fatal(err)
	}
	before := must(dir.State())
	lay("..2", keystest.ES256Other)
	if after := must(dir.State()); after == before {
		t.Error("the state is the same")
	}
	if got := kidsOf(must(dir.Read()).Published(at(0))); !slices.Equal(got, []string{idOf(keystest.ES256Other)}) {
		t.Errorf("read %v", got)
	}
	if err := os.Remove(inDir(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	if state, err := dir.State(); !errors.Is(err, fs.ErrNotExist) || state != "" {
		t.Errorf("the links dangle: %q, %v", state, err)
	}
}

func TestDirectoryStateNoKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, empty := range map[string]string{"missing": filepath.Join(dir, "missing"), "empty": dir} {
		if state, err := keys.Directory(empty).State(); state != "" || err != nil {
			t.Errorf("%s: %q, %v", name, state, err)
		}
	}
	file := keys.Directory(writeFile(t, filepath.Join(dir, "file"), nil, 0o600))
	if _, err := file.State(); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("a file: %v", err)
	}
}
