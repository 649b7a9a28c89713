package tokencache_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/signet/client/internal/tokencache"
	"example.com/signet/client/tokens"
)

func dirOf(path string) tokencache.Dir { return tokencache.Dir(path) }

func makePipe(path string) error { return syscall.Mkfifo(path, 0o600) }

func TestKept(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	if got := load(t, dir, demo, now); got != "" {
		t.Fatalf("before anything was saved: %q", got)
	}
	if _, err := os.Stat(string(dir)); !os.IsNotExist(err) {
		t.Fatalf("loading made the directory: %v", err)
	}
	end := now.Add(10 * time.Minute)
	const odd = `a'"\$` + "`<>&%~"
	if err := dir.Save(demo, newToken(t, odd, end), now); err != nil {
		t.Fatal(err)
	}
	token, ok, err := dir.Load(demo, now)
	if err != nil || !ok || token.AccessToken() != odd || !token.Expires.Equal(end) || token.Scope != "read" {
		t.Errorf("got %q %v %q, %v %v", token.AccessToken(), token.Expires, token.Scope, ok, err)
	}
	for path, want := range map[string]os.FileMode{string(dir): 0o700, filepath.Dir(string(dir)): 0o700, only(t, dir): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v, want mode %04o", path, info.Mode(), err, want)
		}
	}
	if name := filepath.Base(only(t, dir)); strings.Contains(name, "issuer") || strings.Contains(name, "demo") {
		t.Errorf("the file is named %s", name)
	}
}

// A token is worth keeping for four fifths of its life, by a clock that has not been moved back.
func TestFresh(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	save(t, dir, demo, "kept")
	for _, row := range []struct {
		name  string
		after time.Duration
		want  string
	}{
		{"at once", 0, "kept"},
		{"just before four fifths", 8*time.Minute - time.Second, "kept"},
		{"four fifths", 8 * time.Minute, ""},
		{"the end", 10 * time.Minute, ""},
		{"long after", 24 * time.Hour, ""},
		{"clock moved back", -time.Second, ""},
		{"clock moved back far", -24 * 365 * time.Hour, ""},
	} {
		if got := load(t, dir, demo, now.Add(row.after)); got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}

// Tokens of a day are usual: the moments of asking and of getting do not lie on the same tick.
func TestTokenOfADay(t *testing.T) {
	t.Parallel()
	for _, apart := range []time.Duration{-time.Second, -time.Microsecond, 0, time.Microsecond, time.Second} {
		dir := newDir(t)
		if err := dir.Save(demo, newToken(t, "kept", now.Add(24*time.Hour+apart)), now); err != nil {
			t.Fatal(err)
		}
		if got := load(t, dir, demo, now.Add(time.Hour)); got != "kept" {
			t.Errorf("24h and %v: got %q", apart, got)
		}
	}
}

func TestTokenWithoutEndIsNotKept(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	if err := dir.Save(demo, newToken(t, "kept", time.Time{}), now); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(string(dir)); !os.IsNotExist(err) {
		t.Errorf("something was written: %v", err)
	}
}

// Each key has a token of its own, and no two of them can be taken for one.
func TestKeysAreApart(t *testing.T) {
	t.Parallel()
	others := map[string]tokencache.Key{
		"issuer":    {Issuer: "https://issuer.example.com/", ClientID: "demo", Resource: demo.Resource, Scope: demo.Scope},
		"client":    {Issuer: demo.Issuer, ClientID: "Demo", Resource: demo.Resource, Scope: demo.Scope},
		"resource":  {Issuer: demo.Issuer, ClientID: "demo", Scope: demo.Scope},
		"scope":     {Issuer: demo.Issuer, ClientID: "demo", Resource: demo.Resource, Scope: "read"},
		"no-scope":  {Issuer: demo.Issuer, ClientID: "demo", Resource: demo.Resource},
		"case":      {Issuer: demo.Issuer, ClientID: "demo", Resource: demo.Resource, Scope: "READ write"},
		"separator": {Issuer: demo.Issuer, ClientID: "demo", Resource: demo.Resource + "\nread write"},
		"path":      {Issuer: demo.Issuer, ClientID: "../../../etc/passwd", Resource: "/", Scope: "a"},
	}
	dir := newDir(t)
	save(t, dir, demo, "ours")
	for name, key := range others {
		if got := load(t, dir, key, now); got != "" {
			t.Errorf("%s: got %q of the other", name, got)
		}
	}
	for name, key := range others {
		if name == "separator" { // of one name with ours: it replaces it, and is told apart by what is in it
			continue
		}
		save(t, dir, key, name)
	}
	for name, key := range others {
		if got := load(t, dir, key, now); got != name && name != "separator" {
			t.Errorf("%s: got %q", name, got)
		}
	}
	if got := load(t, dir, demo, now); got != "ours" {
		t.Errorf("ours became %q", got)
	}
}

// Scope values are a set (RFC 6749 §3.3).
func TestScopeOrder(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	save(t, dir, demo, "kept")
	for _, scope := range []string{"write read", "  read   write ", "read write read"} {
		key := demo
		key.Scope = scope
		if got := load(t, dir, key, now); got != "kept" {
			t.Errorf("%q: got %q", scope, got)
		}
	}
}

// Files of yesterday go when something is saved; what is not ours stays.
func TestTidy(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	save(t, dir, demo, "kept")
	old := now.Add(-25 * time.Hour)
	for name, age := range map[string]time.Time{
		"old.token.json": old, ".new-123": old, "young.token.json": now, ".new-456": now, "notes.txt": old, "other.json": old,
	} {
		path := filepath.Join(string(dir), name)
		write(t, path, "x")
		if err := os.Chtimes(path, age, age); err != nil {
			t.Fatal(err)
		}
	}
	save(t, dir, demo, "again")
	for name, want := range map[string]bool{
		"old.token.json": false, ".new-123": false, "young.token.json": true, ".new-456": true, "notes.txt": true, "other.json": true,
	} {
		if _, err := os.Lstat(filepath.Join(string(dir), name)); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", name, err == nil, want)
		}
	}
}

// Whoever saves or is killed while saving, who reads finds a whole token.
func TestKilledWriters(t *testing.T) {
	dir := newDir(t)
	if err := dir.Save(demo, newToken(t, valueOf(0), now.Add(10*time.Minute)), now); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for round := range 20 {
		writer := exec.Command(self)
		writer.Env = append(os.Environ(), "SIGNET_TEST_WRITER="+string(dir))
		if err := writer.Start(); err != nil {
			t.Fatal(err)
		}
		first := load(t, dir, demo, now)
		for deadline := time.Now().Add(20 * time.Second); ; {
			got := load(t, dir, demo, now)
			if !isWhole(got) {
				t.Fatalf("round %d: got %.40q", round, got)
			}
			if got != first {
				break // it is in the middle of its work
			}
			if time.Now().After(deadline) {
				t.Fatalf("round %d: nothing is written", round)
			}
		}
		_ = writer.Process.Kill()
		_ = writer.Wait()
		if got := load(t, dir, demo, now); !isWhole(got) {
			t.Fatalf("round %d: after the kill: %.40q", round, got)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			token, err := tokens.NewToken(valueOf(n), now.Add(10*time.Minute), "")
			if err != nil {
				t.Error(err)
				return
			}
			for range 10 {
				if err := dir.Save(demo, token, now); err != nil {
					t.Error(err)
				}
				got, ok, err := dir.Load(demo, now)
				if err != nil || !ok || !isWhole(got.AccessToken()) {
					t.Errorf("%.40q %v %v", got.AccessToken(), ok, err)
				}
			}
		})
	}
	all.Wait()
	only(t, dir) // nothing is left beside it
}
