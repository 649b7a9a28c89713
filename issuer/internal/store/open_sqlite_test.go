package store_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/issuer/internal/store"
)

// makeDatabase makes a SQLite file of somebody's.
func makeDatabase(t *testing.T, path string, statements ...string) {
	t.Helper()
	other, err := sql.Open("sqlite", "file:"+path)
	must(t, err)
	defer func() { _ = other.Close() }()
	for _, statement := range statements {
		_, err := other.ExecContext(t.Context(), statement)
		must(t, err)
	}
	must(t, os.Chmod(path, 0o600))
}

// A file that is somebody else's is refused and stays as it is.
func TestOpenNotOurs(t *testing.T) {
	t.Parallel()
	text := func(content string) func(*testing.T, string) {
		return func(t *testing.T, path string) { must(t, os.WriteFile(path, []byte(content), 0o600)) }
	}
	database := func(statements ...string) func(*testing.T, string) {
		return func(t *testing.T, path string) { makeDatabase(t, path, statements...) }
	}
	const table, mark = "CREATE TABLE places (id INTEGER)", "PRAGMA application_id = 1"
	tests := []struct {
		name string
		make func(t *testing.T, path string)
		why  string
	}{
		{"text", text(strings.Repeat("resources: []\n", 100)), "not a SQLite file"},
		{"a short text", text("resources: []\n"), "not a SQLite file"},
		{"the beginning of a database", text("SQLite format 3\x00" + strings.Repeat("x", 2000)), "not a SQLite file"},
		{"another application's, not marked", database(table), "it holds something else"},
		{"another application's", database(table, mark), "it holds something else"},
		{"another application's, empty", database(mark), "it holds something else"},
		{"another application's, in WAL mode", database("PRAGMA journal_mode = WAL", table, mark), "it holds something else"},
		{"a view alone", database("CREATE VIEW places AS SELECT 1"), "it holds something else"},
		{"a directory", func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o700)) }, "not a regular file"},
		{"a pipe", func(t *testing.T, path string) { must(t, syscall.Mkfifo(path, 0o600)) }, "not a regular file"},
		{"a link to a directory", func(t *testing.T, path string) { must(t, os.Symlink(t.TempDir(), path)) }, "not a regular file"},
	}
	for _, tt := range tests {
		for name, change := range map[string]func(*store.Config){
			"": func(*store.Config) {}, ", to be read": unmigrated, ", of any version": anyVersion,
		} {
			t.Run(tt.name+name, func(t *testing.T) {
				db := newSQLite(t)
				tt.make(t, db.path())
				info, err := os.Stat(db.path())
				must(t, err)
				before := ""
				if info.Mode().IsRegular() {
					before = readFile(t, db.path())
				}
				wantErr(t, db.refused(change), store.ErrNotOurs, db.path(), tt.why)
				if info.Mode().IsRegular() && readFile(t, db.path()) != before {
					t.Error("the file has changed")
				}
			})
		}
	}
}

// A file that others may read or write is refused, with the command that mends it.
func TestOpenLoose(t *testing.T) {
	t.Parallel()
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o602, 0o610, 0o666, 0o777} {
		db := newSQLite(t)
		must(t, db.open().Close())
		must(t, os.Chmod(db.path(), mode))
		err := db.refused()
		if want := "chmod 600 " + db.path(); !strings.Contains(err.Error(), "others may read or write it") || hintOf(err) != want {
			t.Errorf("mode %04o: error %v, hint %q", mode, err, hintOf(err))
		}
		must(t, os.Chmod(db.path(), 0o600))
		db.open()
	}
}

// What is made is for us alone, with the files that SQLite puts beside it, whatever the umask.
func TestOpenMakes(t *testing.T) {
	t.Parallel()
	db := newSQLite(t)
	db.url = "sqlite:" + filepath.Join(t.TempDir(), "new", "house", "issuer.db")
	db.seed(db.open())
	dir := filepath.Dir(db.path())
	got := map[string]os.FileMode{}
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, entry := range entries {
		info, err := entry.Info()
		must(t, err)
		got[entry.Name()] = info.Mode()
	}
	for _, parent := range []string{dir, filepath.Dir(dir)} {
		info, err := os.Stat(parent)
		must(t, err)
		got[filepath.Base(parent)] = info.Mode().Perm()
	}
	want := map[string]os.FileMode{
		"issuer.db": 0o600, "issuer.db-wal": 0o600, "issuer.db-shm": 0o600, "house": 0o700, "new": 0o700,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("- want + got:\n%s", diff)
	}
}

// What makes a commit outlive a power cut is set on every connection, not only on the first.
func TestPragmas(t *testing.T) {
	t.Parallel()
	s := newSQLite(t).open()
	for name, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "busy_timeout": "5000", "foreign_keys": "1", "trusted_schema": "0",
	} {
		values, err := s.Pragma(t.Context(), name, 3)
		must(t, err)
		if diff := cmp.Diff([]string{want, want, want}, values); diff != "" {
			t.Errorf("%s, - want + got:\n%s", name, diff)
		}
	}
}

// An empty file becomes a database: somebody made it to say whose it is.
func TestOpenEmptyFile(t *testing.T) {
	t.Parallel()
	db := newSQLite(t)
	must(t, os.WriteFile(db.path(), nil, 0o600))
	wantErr(t, db.refused(unmigrated), store.ErrOlder)
	db.seed(db.open())
}

// The name of a file is a name and no more, however much it looks like something of SQLite's.
func TestOpenOddNames(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"a?mode=memory&b#c", "%41", "file:issuer.db", "-", "ü b.db"} {
		db := newSQLite(t)
		db.url = "sqlite:" + name
		db.seed(db.open())
		if text := readFile(t, name); !strings.HasPrefix(text, "SQLite format 3\x00") {
			t.Errorf("%s holds %.20q", name, text)
		}
		wantClients(t, db.open(unmigrated), "billing")
	}
}

// Without leave to migrate, a file that is not there reads as an empty database, and is not there afterwards either.
func TestOpenMissing(t *testing.T) {
	t.Parallel()
	db := newSQLite(t)
	db.url = "sqlite:" + filepath.Join(filepath.Dir(db.path()), "missing", "issuer.db")
	s := db.open(unmigrated)
	wantClients(t, s)
	if all, err := s.Resources(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	must(t, s.Check(t.Context()))
	unlock, err := store.Ring{Store: s}.Lock()
	must(t, err)
	unlock()
	must(t, s.Close())
	if entries, err := os.ReadDir(filepath.Dir(filepath.Dir(db.path()))); err != nil || len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

// A database that somebody else writes to for long is away, and not in a wrong place.
func TestOpenBusy(t *testing.T) {
	t.Parallel()
	db := newSQLite(t)
	db.seed(db.open())
	free := db.hold()
	defer free()
	wantClients(t, db.open(unmigrated), "billing")
	err := db.refused()
	wantErr(t, err, store.ErrAway)
	if hintOf(err) != "" {
		t.Errorf("hint %q", hintOf(err))
	}
	free()
	wantClients(t, db.open(), "billing")
}

// Whoever has no leave to write is told so, and to whom it is of no use.
func TestOpenNotWritable(t *testing.T) {
	t.Parallel()
	who := nobody(t)
	const elsewhere = "--database names another place"
	tests := []struct {
		name, play string
		dir, file  os.FileMode // file 0: it is not there
		status     int
		words      []string
	}{
		{"a directory to be read, and no file", "migrate", 0o500, 0, 1,
			[]string{"making the database: ", "permission denied", elsewhere}},
		{"a file to be read", "migrate", 0o700, 0o400, 1, []string{"making the database: ", elsewhere}},
		{"a file and a directory to be read", "migrate", 0o500, 0o400, 1, []string{"making the database: ", elsewhere}},
		{"a directory to be read", "migrate", 0o500, 0o600, 1, []string{"making the database: ", elsewhere}},
		{"a file that is closed", "migrate", 0o700, 0o200, 1, []string{"issuer.db"}},
		{"a closed directory", "migrate", 0, 0o600, 1, []string{"opening the database: ", "permission denied"}},
		{"no file, to be read", "read", 0o500, 0, 0, []string{"done"}},
		{"all is well", "migrate", 0o700, 0o600, 0, []string{"done"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			db := newSQLite(t)
			dir := filepath.Dir(db.path())
			must(t, os.Chmod(filepath.Dir(dir), 0o755))
			if tt.file != 0 {
				must(t, db.open().Close())
				must(t, os.Chmod(db.path(), tt.file))
			}
			must(t, os.Chmod(dir, tt.dir))
			t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
			if who != nil {
				must(t, os.Chown(dir, int(who.Uid), int(who.Gid)))
				if tt.file != 0 {
					must(t, os.Chown(db.path(), int(who.Uid), int(who.Gid)))
				}
			}
			said, status := startChild(t, tt.play, db.url, who).end()
			if status != tt.status {
				t.Errorf("status %d", status)
			}
			for _, word := range tt.words {
				if !strings.Contains(said, word) {
					t.Errorf("it says %q, want %q in it", said, word)
				}
			}
		})
	}
}
