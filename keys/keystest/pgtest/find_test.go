package pgtest_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"example.com/signet/keys/keystest/pgtest"
)

func TestFindBin(t *testing.T) {
	t.Parallel()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pattern := filepath.Join(root, "postgresql", "*", "bin")
	program := func(mode os.FileMode, names ...string) {
		for _, name := range names {
			name = filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, nil, mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	program(0o755, "client/initdb", "local/initdb", "local/postgres", "one/9.6/bin/initdb", "one/9.6/bin/postgres")
	program(0o755, "postgresql/9.6/bin/initdb", "postgresql/9.6/bin/postgres", "postgresql/15/bin/initdb",
		"postgresql/15/bin/postgres", "postgresql/17/bin/psql", "postgresql/old/bin/initdb", "postgresql/old/bin/postgres")
	program(0o644, "data/initdb", "data/postgres")
	if err := os.MkdirAll(filepath.Join(root, "folders/initdb"), 0o755); err != nil {
		t.Fatal(err)
	}
	program(0o755, "folders/postgres")
	for name, target := range map[string]string{"links": "../local/initdb", "broken": "../nowhere/initdb"} {
		dir := filepath.Join(root, name)
		if err := errors.Join(os.Mkdir(dir, 0o755), os.Symlink(target, filepath.Join(dir, "initdb"))); err != nil {
			t.Fatal(err)
		}
	}
	in := func(name string) string { return filepath.Join(root, name) }
	none := filepath.Join(root, "none", "*", "bin")
	missing := "PostgreSQL is not installed: no initdb and postgres on PATH or in " + none
	tests := []struct {
		name, path, pattern string
		want, err           string
	}{
		{"no PATH, none of Debian's", "", none, "", missing},
		{"no such directory", in("nowhere"), none, "", missing},
		{"initdb alone", in("client"), none, "", missing},
		{"no programs", in("data"), none, "", missing},
		{"a folder of that name", in("folders"), none, "", missing},
		{"a relative directory", "local:.:", none, "", missing},
		{"a link into nothing", in("broken"), none, "", missing},
		{"a link", in("links"), pattern, in("local"), ""},
		{"the first that has it", in("client") + ":" + in("local") + ":" + in("one/9.6/bin"), pattern, in("local"), ""},
		{"Debian's newest that has it", in("client"), pattern, in("postgresql/15/bin"), ""},
		{"Debian's only one", "", filepath.Join(root, "one", "*", "bin"), in("one/9.6/bin"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := pgtest.FindBin(tt.path, tt.pattern)
			if got != tt.want || (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
				t.Errorf("%q, %v, want %q, %s", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestSkip(t *testing.T) {
	t.Parallel()
	_, err := pgtest.FindBin("", "/nowhere/*/bin")
	said := new(recorder).run(func(t testing.TB) { pgtest.Check(t, err) })
	const want = "skipped: pgtest: PostgreSQL is not installed: no initdb and postgres on PATH or in /nowhere/*/bin"
	if said != want {
		t.Errorf("got  %q\nwant %q", said, want)
	}
	said = new(recorder).run(func(t testing.TB) { pgtest.Check(t, os.ErrPermission) })
	if said != "failed: pgtest: permission denied" {
		t.Errorf("any other error: %q", said)
	}
}
