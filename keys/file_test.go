package keys_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// writeFile writes a file whose mode is exactly mode, whatever the umask.
func writeFile(t *testing.T, path string, text []byte, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadPrivateKeyModes(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		mode os.FileMode
		ok   bool
	}{
		{"owner reads and writes", 0o600, true},
		{"owner reads", 0o400, true},
		{"everybody reads", 0o644, false},
		{"group reads", 0o640, false},
		{"others read", 0o604, false},
		{"group reads and writes", 0o660, false},
		{"group writes", 0o620, false},
		{"others write", 0o602, false},
		{"everybody does everything", 0o777, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			path := writeFile(t, filepath.Join(t.TempDir(), "key.pem"), keystest.PEM(keystest.ES256), row.mode)
			key, err := keys.ReadPrivateKey(path)
			if row.ok {
				if err != nil || key.ID() != keystest.Key(keystest.ES256).ID() {
					t.Errorf("got %v, %v", key, err)
				}
				return
			}
			wantError(t, err, keys.ErrLooseMode, path)
			if hint := hintOf(err); !strings.Contains(hint, "chmod 600 "+path) {
				t.Errorf("hint %q is without the command that mends it", hint)
			}
			if key != nil {
				t.Error("a key beside the error")
			}
		})
	}
}

func TestReadPrivateKeyRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	atLimit := bytes.Repeat([]byte("\n"), 64<<10)
	copy(atLimit, keystest.PEM(keystest.ES256))
	file := func(name string, text []byte) string { return writeFile(t, filepath.Join(dir, name), text, 0o600) }

	rows := []struct {
		name string
		path string
		want error
		say  string
	}{
		{"directory", dir, keys.ErrKey, "not a regular file"},
		{"FIFO that nobody writes to", fifo, keys.ErrKey, "not a regular file"}, // opening it would hang
		{"device", os.DevNull, keys.ErrKey, "not a regular file"},
		{"empty", file("empty", nil), keys.ErrKey, "not PEM"},
		{"64 KiB and 1", file("long", append(atLimit, '\n')), keys.ErrKey, "longer than 65536 octets"},
		{"weak", file("weak", keystest.PEM(keystest.WeakRSA)), keys.ErrKey, "RSA of 1024 bits"},
		{"JWK", file("jwk", []byte(jwkWith(t, keystest.ES256, nil))), keys.ErrKey, "not PEM"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			key, err := keys.ReadPrivateKey(row.path)
			wantError(t, err, row.want, row.say)
			if !strings.Contains(err.Error(), row.path) {
				t.Errorf("error %q is without the path", err)
			}
			if key != nil {
				t.Error("a key beside the error")
			}
		})
	}
	if _, err := keys.ReadPrivateKey(file("at the limit", atLimit)); err != nil {
		t.Errorf("64 KiB exactly: %v", err)
	}
}

func TestReadPrivateKeyMissing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "none.pem")
	_, err := keys.ReadPrivateKey(path)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want fs.ErrNotExist and the path", err)
	}
}

// Secrets are often mounted as links. What counts is the mode of the file that is read, not of the link.
func TestReadPrivateKeyThroughSymlink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	link := func(name string, mode os.FileMode) string {
		target := writeFile(t, filepath.Join(dir, name), keystest.PEM(keystest.ES256), mode)
		if err := os.Symlink(target, target+".link"); err != nil {
			t.Fatal(err)
		}
		return target + ".link"
	}
	if _, err := keys.ReadPrivateKey(link("tight", 0o600)); err != nil {
		t.Error(err)
	}
	_, err := keys.ReadPrivateKey(link("loose", 0o644))
	wantError(t, err, keys.ErrLooseMode, "0644")
}

func TestReadPublicKey(t *testing.T) {
	t.Parallel()
	want := keystest.Key(keystest.ES256).Public()
	jwk := jwkWith(t, keystest.ES256, map[string]any{"kid": "its own name"})
	rows := []struct {
		name string
		text []byte
		id   string
	}{
		{"PEM", must(want.MarshalPEM()), want.ID()},
		{"JWK", []byte(jwk), "its own name"},
		{"JWK in a file that ends with a line break", []byte("\n" + jwk + "\n"), "its own name"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			path := writeFile(t, filepath.Join(t.TempDir(), "key"), row.text, 0o644) // public: anyone may read it
			key, err := keys.ReadPublicKey(path)
			if err != nil {
				t.Fatal(err)
			}
			if key.ID() != row.id {
				t.Errorf("kid %q, want %q", key.ID(), row.id)
			}
		})
	}
}

func TestReadPublicKeyRefuses(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		text []byte
		say  string
	}{
		{"empty", nil, "not PEM"},
		{"private PEM", keystest.PEM(keystest.ES256), "want \"PUBLIC KEY\""},
		{"private JWK", []byte(jwkWith(t, keystest.ES256, map[string]any{"d": "AQ"})), "private"},
		{"half a JWK", []byte(`{"kty":"EC"`), "not a strict JSON object"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			path := writeFile(t, filepath.Join(t.TempDir(), "key"), row.text, 0o600)
			_, err := keys.ReadPublicKey(path)
			wantError(t, err, keys.ErrKey, row.say)
		})
	}
}
