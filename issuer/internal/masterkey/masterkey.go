// Package masterkey seals what must not be readable in a database. A master key lives in a file outside of it:
//
//	ring, err := masterkey.Read("/etc/signet/master.key")
//	sealed := ring.Newest().Seal(secret, []byte("what it is for"))
//	secret, err = ring.Find(id).Open(sealed, []byte("what it is for"))
package masterkey

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"example.com/signet/keys"
)

// What can be wrong with a master key or with what it sealed.
var (
	ErrFile = errors.New("not a file of master keys")
	ErrSeal = errors.New("the seal is broken") // by whom or what, nobody can tell
)

const (
	size        = 32 // octets: AES-256
	prefix      = "signet-master-key-1:"
	maxKeys     = 2
	maxFileSize = 4096 // octets
	idSize      = 8    // octets
)

// Key is a master key. It is safe for concurrent use, and printing it shows its id.
type Key struct {
	id   string
	aead func() cipher.AEAD // a function, because fmt prints the unexported fields of others' structs as they are
}

// Ring is the master keys that are live: one, or two while one replaces the other. It is immutable.
type Ring struct{ keys []*Key }

// Generate returns a line with a new master key, for a file.
func Generate() (line string, key *Key) {
	raw := make([]byte, size)
	rand.Read(raw) // never fails
	return prefix + base64.RawURLEncoding.EncodeToString(raw) + "\n", newKey(raw)
}

func newKey(raw []byte) *Key {
	block, err := aes.NewCipher(raw)
	if err != nil {
		panic("masterkey: " + err.Error()) // only another size does that
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("masterkey: " + err.Error())
	}
	sum := sha256.Sum256(append([]byte(prefix+"id:"), raw...))
	return &Key{hex.EncodeToString(sum[:idSize]), func() cipher.AEAD { return aead }}
}

// Read reads one or two master keys, each in a line as [Generate] makes it, the newest last. Empty lines and those that
// begin with # are passed over. A file that others than its owner and group can read is refused. The error holds
// nothing of the content.
func Read(path string) (*Ring, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	ring, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return ring, nil
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path) // before it is opened: a pipe would wait
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, keys.WithHint(fmt.Errorf("reading the master key: %w", err), "make one: issuer master-key generate FILE")
	case err != nil:
		return nil, fmt.Errorf("reading the master key: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("reading %s: %w: not a regular file", path, ErrFile)
	case info.Mode().Perm()&0o037 != 0: // the group may read: that is how Kubernetes hands files to one user
		return nil, keys.WithHint(fmt.Errorf("reading %s: %w: mode is %04o", path, keys.ErrLooseMode, info.Mode().Perm()),
			"if nobody has read it: chmod 600 "+path+" (otherwise rotate to a new one: issuer master-key --help)")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the master key: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the master key: %w", err)
	}
	if len(text) > maxFileSize {
		return nil, fmt.Errorf("reading %s: %w: longer than %d octets", path, ErrFile, maxFileSize)
	}
	return text, nil
}

// Parse reads what is in a file. The error wraps [ErrFile].
func Parse(text []byte) (*Ring, error) {
	ring := &Ring{}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		line := strings.TrimSpace(string(line))
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		encoded, ok := strings.CutPrefix(line, prefix)
		ok = ok && !strings.Contains(encoded, "\r") // which base64 would pass over
		raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
		if !ok || err != nil || len(raw) != size {
			return nil, fmt.Errorf("%w: line %d is no master key as issuer master-key generate makes it", ErrFile, number)
		}
		key := newKey(raw)
		if ring.Find(key.id) != nil {
			return nil, fmt.Errorf("%w: line %d has the same key again", ErrFile, number)
		}
		ring.keys = append(ring.keys, key)
	}
	if n := len(ring.keys); n < 1 || n > maxKeys {
		return nil, fmt.Errorf("%w: it has %d keys; one, or two while one replaces the other, are needed", ErrFile, n)
	}
	return ring, nil
}

// Create writes a new file, which only its owner can read, with one new master key. A file that is there is an error
// that wraps [os.ErrExist].
func Create(path string) (*Key, error) {
	line, key := Generate()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making a master key: %w", err)
	}
	_, err = file.WriteString(line)
	if err := errors.Join(err, file.Sync(), file.Close(), syncDirectory(path)); err != nil {
		_ = os.Remove(path)
		return nil, fmt.Errorf("making a master key: %w", err)
	}
	return key, nil
}

// Append adds a new master key at the end of a file that has one, as a whole or not at all; whoever may read the file may
// still. With two in it already it is an [ErrFile].
func Append(path string) (*Key, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	key, err := appendKey(path, text)
	if err != nil {
		return nil, fmt.Errorf("adding a master key to %s: %w", path, err)
	}
	return key, nil
}

func appendKey(path string, text []byte) (key *Key, err error) {
	if path, err = filepath.EvalSymlinks(path); err != nil { // a link stays one
		return nil, err
	}
	if there, err := Parse(text); err == nil && len(there.keys) == maxKeys {
		return nil, keys.WithHint(fmt.Errorf("%w: it has two keys already", ErrFile),
			"delete the line of the one that no longer seals: issuer master-key list")
	}
	line, key := Generate()
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	text = append(text, line...)
	if len(text) > maxFileSize {
		return nil, fmt.Errorf("%w: it would be longer than %d octets", ErrFile, maxFileSize)
	}
	if _, err := Parse(text); err != nil {
		return nil, err
	}
	return key, replace(path, text)
}

// replace gives a file another content by a rename, and keeps its mode and owner.
func replace(path string, text []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".unfinished-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && err == nil {
		err = file.Chown(int(owner.Uid), int(owner.Gid))
	}
	err = errors.Join(err, file.Chmod(info.Mode().Perm()), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
		return err
	}
	return syncDirectory(path)
}

// syncDirectory makes the name of a file as durable as what is in it.
func syncDirectory(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Newest returns the last key of the file.
func (r *Ring) Newest() *Key { return r.keys[len(r.keys)-1] }

// Find returns the key of that id, or nil.
func (r *Ring) Find(id string) *Key {
	for _, key := range r.keys {
		if key.id == id {
			return key
		}
	}
	return nil
}

// IDs returns the id of each key, in the order of the file.
func (r *Ring) IDs() []string {
	var ids []string
	for _, key := range r.keys {
		ids = append(ids, key.id)
	}
	return ids
}

// ID names the key and gives nothing of it away: 16 hexadecimal digits of a hash.
func (k *Key) ID() string { return k.id }

// Seal encrypts plain with AES-256-GCM under a random nonce, which goes first, and binds it to additional, which is
// needed to open it and is not in it (NIST SP 800-38D).
func (k *Key) Seal(plain, additional []byte) []byte {
	return k.aead().Seal(nil, nil, plain, additional)
}

// Open returns what was sealed, or an [ErrSeal] when any bit of it or of additional is another, or it was sealed under
// another key.
func (k *Key) Open(sealed, additional []byte) ([]byte, error) {
	plain, err := k.aead().Open(nil, nil, sealed, additional)
	if err != nil {
		return nil, ErrSeal
	}
	return plain, nil
}

// Format writes the id for every verb. It is on the value, so that a copy is as discreet as a pointer.
func (k Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "master key "+k.id) }

// LogValue shows the id.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.id) }
