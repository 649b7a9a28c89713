package tokencache_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/signet/keys"
)

// What is in the file of a key but not a good token for it is not used.
func TestEntriesThatAreNotUsed(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		changes map[string]any
	}{
		{"another issuer's", map[string]any{"issuer": "https://evil.example"}},
		{"an issuer with a slash", map[string]any{"issuer": demo.Issuer + "/"}},
		{"another client's", map[string]any{"client_id": "admin"}},
		{"for another resource", map[string]any{"resource": "https://billing.example.com"}},
		{"for another scope", map[string]any{"scope": "read"}},
		{"of nobody", map[string]any{"issuer": nil, "client_id": nil}},
		{"without an end", map[string]any{"expires": nil}},
		{"without a beginning", map[string]any{"obtained": nil}},
		{"that ends before it begins", map[string]any{"expires": now.Add(-time.Minute)}},
		{"that lives too long", map[string]any{"expires": now.Add(48 * time.Hour)}},
		{"of tomorrow", map[string]any{"obtained": now.Add(24 * time.Hour), "expires": now.Add(25 * time.Hour)}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := newDir(t)
			save(t, dir, demo, "kept")
			edit(t, dir, row.changes)
			if got := load(t, dir, demo, now.Add(time.Minute)); got != "" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// A file that is damaged is an error, which says how to be rid of it and has nothing of the token in it.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	whole := func(t *testing.T, path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, row := range []struct {
		name   string
		damage func(text string) string
	}{
		{"empty", func(string) string { return "" }},
		{"cut off", func(text string) string { return text[:len(text)/2] }},
		{"with more behind it", func(text string) string { return text + "x" }},
		{"twice", func(text string) string { return text + text }},
		{"no JSON", func(string) string { return "s3cret-token" }},
		{"an array", func(text string) string { return "[" + text + "]" }},
		{"a member twice", func(text string) string { return strings.Replace(text, "{", `{"access_token":"other",`, 1) }},
		{"wrong type", func(text string) string { return strings.Replace(text, `"s3cret-token"`, `["s3cret-token"]`, 1) }},
		{"a moment that is none", func(text string) string {
			return strings.Replace(text, `"expires":"2026`, `"expires":"s3cret-token`, 1)
		}},
		{"token with a line break", func(text string) string { return strings.Replace(text, "s3cret-token", `s3cret-token\r\nX: y`, 1) }},
		{"token with an escape", func(text string) string { return strings.Replace(text, "s3cret-token", `\u001b[2J`, 1) }},
		{"no token", func(text string) string { return strings.Replace(text, "s3cret-token", "", 1) }},
		{"too long", func(text string) string { return text[:1] + strings.Repeat(" ", 1<<20) + text[1:] }},
		{"NULs", func(text string) string { return strings.Repeat("\x00", len(text)) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := newDir(t)
			save(t, dir, demo, "s3cret-token")
			path := only(t, dir)
			write(t, path, row.damage(whole(t, path)))
			token, ok, err := dir.Load(demo, now)
			if err == nil || ok || token.AccessToken() != "" {
				t.Fatalf("got %q %v %v, want an error", token.AccessToken(), ok, err)
			}
			if want := "reading the kept token " + path + ": damaged"; err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
			wantHint(t, err, "delete it: rm "+path)
			save(t, dir, demo, "new") // mends it
			if got := load(t, dir, demo, now); got != "new" {
				t.Errorf("after another was saved: %q", got)
			}
		})
	}
}

func wantHint(t *testing.T, err error, want string) {
	t.Helper()
	var hinted interface{ Hint() string }
	if !errors.As(err, &hinted) || hinted.Hint() != want {
		t.Errorf("%v: the hint is not %q", err, want)
	}
}

// What others may read, or may have put there, is not used, and not written to.
func TestLooseModes(t *testing.T) {
	t.Parallel()
	for _, mode := range []os.FileMode{0o640, 0o604, 0o644, 0o660, 0o666, 0o601, 0o620} {
		dir := newDir(t)
		save(t, dir, demo, "kept")
		path := only(t, dir)
		chmod(t, path, mode)
		_, ok, err := dir.Load(demo, now)
		if ok || !errors.Is(err, keys.ErrLooseMode) {
			t.Errorf("file of mode %04o: %v %v, want %v", mode, ok, err, keys.ErrLooseMode)
			continue
		}
		wantHint(t, err, "delete it: rm "+path)
		save(t, dir, demo, "new")
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("after saving: %v %v", info, err)
		}
	}
	for _, mode := range []os.FileMode{0o750, 0o705, 0o755, 0o777, 0o701, 0o720} {
		dir := newDir(t)
		save(t, dir, demo, "kept")
		chmod(t, string(dir), mode)
		_, ok, err := dir.Load(demo, now)
		if ok || !errors.Is(err, keys.ErrLooseMode) {
			t.Errorf("directory of mode %04o: %v %v, want %v", mode, ok, err, keys.ErrLooseMode)
			continue
		}
		wantHint(t, err, "name a directory of your own, such as ~/.cache/signet, that nobody else can enter (mode 0700)")
		err = dir.Save(demo, newToken(t, "new", now.Add(time.Minute)), now)
		if !errors.Is(err, keys.ErrLooseMode) {
			t.Errorf("saving into it: %v, want %v", err, keys.ErrLooseMode)
		}
		wantHint(t, err, "name a directory of your own, such as ~/.cache/signet, that nobody else can enter (mode 0700)")
		only(t, dir) // nothing was left there
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// What is not a file is not opened: a link leads elsewhere, and a pipe would be waited for.
func TestOtherThanFiles(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		put  func(t *testing.T, path string)
	}{
		{"link to a good file", func(t *testing.T, path string) {
			if err := errors.Join(os.Rename(path, path+".elsewhere"), os.Symlink(path+".elsewhere", path)); err != nil {
				t.Fatal(err)
			}
		}},
		{"link to nowhere", func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), os.Symlink("/nonexistent", path)); err != nil {
				t.Fatal(err)
			}
		}},
		{"pipe", func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), makePipe(path)); err != nil {
				t.Fatal(err)
			}
		}},
		{"directory", func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := newDir(t)
			save(t, dir, demo, "kept")
			path := only(t, dir)
			row.put(t, path)
			_, ok, err := dir.Load(demo, now)
			if ok || err == nil || err.Error() != "reading the kept token "+path+": not a regular file" {
				t.Fatalf("got %v %v", ok, err)
			}
			wantHint(t, err, "delete it: rm "+path)
		})
	}
}

// Saving replaces a link, and does not write through it.
func TestSaveOverALink(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	save(t, dir, demo, "kept")
	path, target := only(t, dir), filepath.Join(t.TempDir(), "target")
	write(t, target, "untouched")
	if err := errors.Join(os.Remove(path), os.Symlink(target, path)); err != nil {
		t.Fatal(err)
	}
	save(t, dir, demo, "new")
	if text, err := os.ReadFile(target); string(text) != "untouched" {
		t.Errorf("the link's target: %q %v", text, err)
	}
	if got := load(t, dir, demo, now); got != "new" {
		t.Errorf("got %q", got)
	}
}

// Where a directory cannot be, tokens are neither found nor kept.
func TestNoDirectory(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	for _, dir := range []string{file, file + "/below"} {
		d := dirOf(dir)
		if _, ok, err := d.Load(demo, now); ok || err == nil {
			t.Errorf("%s: loading: %v %v", dir, ok, err)
		}
		if err := d.Save(demo, newToken(t, "s3cret-token", now.Add(time.Minute)), now); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: saving: %v", dir, err)
		}
	}
}
