package tokencache_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/signet/client/internal/tokencache"
	"example.com/signet/client/tokens"
)

// TestMain also is the program that TestKilledWriters kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("SIGNET_TEST_WRITER"); dir != "" {
		saveForEver(tokencache.Dir(dir))
	}
	goleak.VerifyTestMain(m)
}

var (
	now  = time.Date(2026, 11, 23, 10, 15, 0, 0, time.UTC)
	demo = tokencache.Key{Issuer: "https://issuer.example.com", ClientID: "demo", Resource: "https://orders.example.com", Scope: "read write"}
)

// newDir names a directory that is not there yet.
func newDir(t *testing.T) tokencache.Dir {
	t.Helper()
	return tokencache.Dir(filepath.Join(t.TempDir(), "deep", "tokens"))
}

func newToken(t *testing.T, value string, expires time.Time) tokens.Token {
	t.Helper()
	token, err := tokens.NewToken(value, expires, "read")
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// save keeps a token that was obtained at now and lives ten minutes.
func save(t *testing.T, dir tokencache.Dir, key tokencache.Key, value string) {
	t.Helper()
	if err := dir.Save(key, newToken(t, value, now.Add(10*time.Minute)), now); err != nil {
		t.Fatal(err)
	}
}

// load returns the kept token's value, "" when there is none.
func load(t *testing.T, dir tokencache.Dir, key tokencache.Key, at time.Time) string {
	t.Helper()
	token, ok, err := dir.Load(key, at)
	if err != nil {
		t.Fatal(err)
	}
	if ok != (token.AccessToken() != "") {
		t.Errorf("found %v, but the token is %q", ok, token.AccessToken())
	}
	return token.AccessToken()
}

// only returns the path of the only file in dir.
func only(t *testing.T, dir tokencache.Dir) string {
	t.Helper()
	entries, err := os.ReadDir(string(dir))
	if err != nil || len(entries) != 1 {
		t.Fatalf("%v %v, want one file", entries, err)
	}
	return filepath.Join(string(dir), entries[0].Name())
}

// edit changes the members of the only file in dir; a nil value takes a member out.
func edit(t *testing.T, dir tokencache.Dir, changes map[string]any) {
	t.Helper()
	path := only(t, dir)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	for name, value := range changes {
		if members[name] = value; value == nil {
			delete(members, name)
		}
	}
	if text, err = json.Marshal(members); err != nil {
		t.Fatal(err)
	}
	write(t, path, string(text))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// valueOf is a token that shows when only a part of it has been read.
func valueOf(n int) string { return fmt.Sprintf("%d-%s-%d", n, strings.Repeat("x", 4000), n) }

func isWhole(value string) bool {
	number, _, _ := strings.Cut(value, "-")
	var n int
	_, err := fmt.Sscan(number, &n)
	return err == nil && value == valueOf(n)
}

func saveForEver(dir tokencache.Dir) {
	for n := 0; ; n++ {
		token, err := tokens.NewToken(valueOf(n), now.Add(10*time.Minute), "read")
		if err == nil {
			err = dir.Save(demo, token, now)
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
}
