package masterkey_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"example.com/signet/issuer/internal/masterkey"
)

const (
	fileName = "master.key"
	prefix   = "signet-master-key-1:"
)

// octets are those of the n-th fixed key: n, n+1 … n+31.
func octets(n byte) []byte {
	raw := make([]byte, 32)
	for i := range raw {
		raw[i] = n + byte(i)
	}
	return raw
}

func encode(raw []byte) string { return prefix + base64.RawURLEncoding.EncodeToString(raw) }

// one, two and three are lines of fixed keys, without the end.
var one, two, three = encode(octets(0)), encode(octets(32)), encode(bytes.Repeat([]byte{0xfb}, 32))

// The ids of one and two: echo -n signet-master-key-1:id:RAW | sha256sum.
const oneID = "74e43cfc3333440a"

func must[T any](t testing.TB) func(value T, err error) T {
	t.Helper()
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func parse(t testing.TB, text string) *masterkey.Ring {
	t.Helper()
	return must[*masterkey.Ring](t)(masterkey.Parse([]byte(text)))
}

// write writes a file of a new directory.
func write(t testing.TB, text string, mode os.FileMode) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), fileName)
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
	return path
}

// alone sees that the file is alone in its directory, with this content and mode; without content, that nothing is there.
func alone(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	entries := must[[]os.DirEntry](t)(os.ReadDir(filepath.Dir(path)))
	if text == "" && len(entries) == 0 {
		return
	}
	if len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
		t.Fatalf("there are %v", entries)
	}
	if got := string(must[[]byte](t)(os.ReadFile(path))); got != text {
		t.Errorf("it has %d octets, want %d", len(got), len(text))
	}
	if got := must[os.FileInfo](t)(os.Stat(path)).Mode(); got != mode {
		t.Errorf("mode %v, want %v", got, mode)
	}
}

// quiet is all that an error of Parse can be: none has room for what is in the file.
var quiet = regexp.MustCompile(`^not a file of master keys: (` +
	`line \d+ is no master key as issuer master-key generate makes it|` +
	`line \d+ has the same key again|` +
	`it has \d+ keys; one, or two while one replaces the other, are needed)$`)
