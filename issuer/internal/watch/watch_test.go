package watch_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/signet/issuer/internal/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever is done to a file so that its content may be another gives it another state.
func TestState(t *testing.T) {
	t.Parallel()
	then := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	rows := []struct {
		name   string
		change func(t *testing.T, dir, path string)
		same   bool
	}{
		{"nothing", func(*testing.T, string, string) {}, true},
		{"read", func(t *testing.T, _, path string) { _, err := os.ReadFile(path); must(t, err) }, true},
		{"another file beside it", func(t *testing.T, dir, _ string) { write(t, filepath.Join(dir, "other"), "x") }, true},
		{"longer", func(t *testing.T, _, path string) {
			write(t, path, "content.")
			must(t, os.Chtimes(path, then, then))
		}, false},
		{"another time", func(t *testing.T, _, path string) { must(t, os.Chtimes(path, then, then.Add(time.Nanosecond))) },
			false},
		{"gone", func(t *testing.T, _, path string) { must(t, os.Remove(path)) }, false},
		{"replaced by one of the same size and time", func(t *testing.T, dir, path string) {
			other := filepath.Join(dir, "new")
			write(t, other, "CONTENT")
			must(t, os.Chtimes(other, then, then))
			must(t, os.Rename(other, path))
		}, false},
		{"a directory in its place", func(t *testing.T, _, path string) {
			must(t, os.Remove(path))
			must(t, os.Mkdir(path, 0o700))
		}, false},
		{"a dangling link in its place", func(t *testing.T, dir, path string) {
			must(t, os.Remove(path))
			must(t, os.Symlink(filepath.Join(dir, "nowhere"), path))
		}, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "file")
			write(t, path, "content")
			must(t, os.Chtimes(path, then, then))
			before := watch.State([]string{path})
			row.change(t, dir, path)
			if after := watch.State([]string{path}); (after == before) != row.same {
				t.Errorf("state before %q, after %q", before, after)
			}
		})
	}
}

// A file that may be read at last may have another content for its reader: modes count.
func TestStateOfModes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, "content")
	before := watch.State([]string{path})
	must(t, os.Chmod(path, 0o640))
	if watch.State([]string{path}) == before {
		t.Errorf("state %q with mode 0600 and 0640", before)
	}
}

func TestStateOfWhatIsMissing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	missing := watch.State([]string{path})
	if missing == "" || missing != watch.State([]string{path}) {
		t.Errorf("state %q", missing)
	}
	write(t, path, "")
	if watch.State([]string{path}) == missing {
		t.Error("an empty file is as one that is not there")
	}
}

// No name makes two lists of files look alike, and order and number count.
func TestStateTellsNames(t *testing.T) {
	t.Parallel()
	lists := [][]string{nil, {"a"}, {"a", "b"}, {"b", "a"}, {"a", "a"}, {"a\nb"}, {"a\" absent\n\"b"}, {""},
		{"/nowhere/" + string([]byte{0, 0xff})}}
	seen := make(map[string][]string)
	for _, list := range lists {
		state := watch.State(list)
		if other, twice := seen[state]; twice {
			t.Errorf("%q and %q have the same state", other, list)
		}
		seen[state] = list
	}
}

// Kubernetes lays a volume as file -> ..data/file and ..data -> ..2026, and swaps ..data.
func TestStateFollowsLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	then := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, name := range []string{"..1", "..2"} {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		path := filepath.Join(dir, name, "file")
		write(t, path, "of "+name)
		must(t, os.Chtimes(path, then, then))
	}
	must(t, os.Symlink("..1", filepath.Join(dir, "..data")))
	path := filepath.Join(dir, "file")
	must(t, os.Symlink(filepath.Join("..data", "file"), path))
	before := watch.State([]string{path})
	must(t, os.Symlink("..2", filepath.Join(dir, "..data_tmp")))
	must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	if watch.State([]string{path}) == before {
		t.Errorf("state %q before and after the swap", before)
	}
}

func TestChanged(t *testing.T) {
	t.Parallel()
	type look struct {
		state string
		want  bool
	}
	rows := []struct {
		name  string
		looks []look
	}{
		{"as it was", []look{{"a", false}, {"a", false}}},
		{"stands still at the second look", []look{{"b", false}, {"b", true}}},
		{"still being written", []look{{"b", false}, {"c", false}, {"d", false}, {"d", true}}},
		{"to and fro", []look{{"b", false}, {"c", false}, {"b", false}, {"b", true}}},
		{"back to what was seen", []look{{"b", false}, {"a", false}, {"b", false}, {"b", true}}},
		{"changed until somebody has seen it", []look{{"b", false}, {"b", true}, {"b", true}}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			var files watch.Files
			files.Seen("a")
			for i, look := range row.looks {
				if got := files.Changed(look.state); got != look.want {
					t.Errorf("look %d at %q: %v", i, look.state, got)
				}
			}
		})
	}
	t.Run("seen", func(t *testing.T) {
		t.Parallel()
		var files watch.Files
		files.Changed("a")
		files.Seen("b")
		if files.Changed("b") || files.Changed("a") || !files.Changed("a") {
			t.Error("a look before Seen counts after it")
		}
	})
	t.Run("the zero value", func(t *testing.T) {
		t.Parallel()
		var files watch.Files
		state := watch.State([]string{"no such file"})
		if files.Changed(state) || !files.Changed(state) {
			t.Error("has seen a file")
		}
	})
}

func TestRun(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	wake, looks, ended := make(chan struct{}), make(chan bool), make(chan struct{})
	go func() {
		defer close(ended)
		watch.Run(ctx, time.Hour, wake, func(now bool) { looks <- now })
	}()
	for range 3 {
		wake <- struct{}{}
		if now := <-looks; !now {
			t.Error("a look that was asked for is as any other")
		}
	}
	stop()
	<-ended
}

func TestRunLooksByItself(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	looks, ended := make(chan bool), make(chan struct{})
	go func() {
		defer close(ended)
		watch.Run(ctx, time.Millisecond, nil, func(now bool) {
			select {
			case looks <- now:
			case <-ctx.Done():
			}
		})
	}()
	for range 3 {
		if now := <-looks; now {
			t.Error("a look that nobody asked for is urgent")
		}
	}
	stop()
	<-ended
}
