// Package tokencache keeps access tokens in a directory from one run of a program to the next: one file for each, in a
// directory that only its owner may enter, replaced as a whole.
package tokencache

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"example.com/signet/client/tokens"
	"example.com/signet/keys"
)

// Dir is a directory of tokens. It is made when the first is saved.
type Dir string

// Key is what a token is of and for. Two that differ in nothing but the order of scope values are one.
type Key struct {
	Issuer   string `json:"issuer"`
	ClientID string `json:"client_id"`
	Resource string `json:"resource"`
	Scope    string `json:"scope"`
}

// entry is the content of a file.
type entry struct {
	Key
	AccessToken  string    `json:"access_token"`
	GrantedScope string    `json:"granted_scope"`
	Obtained     time.Time `json:"obtained"`
	Expires      time.Time `json:"expires"`
}

const (
	suffix    = ".token.json"
	maxSize   = 128 << 10
	keepFiles = 24 * time.Hour          // no token that is kept lives longer
	longest   = keepFiles + time.Minute // life of a token of a day: the clock has not been read at one moment for both ends
	leastLeft = 5                       // a token whose last fifth has begun is not worth keeping
)

// ErrDamaged is a file that holds no token. It is replaced by the next one.
var ErrDamaged = errors.New("damaged")

// errLoose is a [keys.ErrLooseMode] of something that is no key.
var errLoose = looseError{}

type looseError struct{}

func (looseError) Error() string        { return "open to others" }
func (looseError) Is(target error) bool { return target == keys.ErrLooseMode }

func (k Key) normal() Key {
	k.Scope = strings.Join(slices.Compact(slices.Sorted(slices.Values(strings.Fields(k.Scope)))), " ")
	return k
}

// path names the file of a key by a hash: what stands in a key may have any characters.
func (d Dir) path(k Key) string {
	sum := sha256.Sum256([]byte(k.Issuer + "\n" + k.ClientID + "\n" + k.Resource + "\n" + k.Scope))
	return filepath.Join(string(d), hex.EncodeToString(sum[:])+suffix)
}

// Load returns the token of key that is there, if four fifths of its life are not over at now. Nothing there is no
// error; a file or a directory that others may read is a [keys.ErrLooseMode] with a hint.
func (d Dir) Load(key Key, now time.Time) (token tokens.Token, ok bool, err error) {
	key = key.normal()
	if err := d.check(); errors.Is(err, fs.ErrNotExist) {
		return tokens.Token{}, false, nil
	} else if err != nil {
		return tokens.Token{}, false, err
	}
	path := d.path(key)
	e, err := read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return tokens.Token{}, false, nil
	case err != nil:
		return tokens.Token{}, false, unusable(path, err)
	case e.Key != key || !e.isFresh(now):
		return tokens.Token{}, false, nil
	}
	token, err = tokens.NewToken(e.AccessToken, e.Expires, e.GrantedScope)
	if err != nil {
		return tokens.Token{}, false, unusable(path, ErrDamaged)
	}
	return token, true, nil
}

func unusable(path string, why error) error {
	return keys.WithHint(fmt.Errorf("reading the kept token %s: %w", path, why), "delete it: rm "+path)
}

func (e entry) isFresh(now time.Time) bool {
	life := e.Expires.Sub(e.Obtained)
	return life > 0 && life <= longest && !now.Before(e.Obtained) && e.Expires.Sub(now) > life/leastLeft
}

// check refuses a directory that others may enter.
func (d Dir) check() error {
	info, err := os.Stat(string(d))
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", d)
	case info.Mode().Perm()&0o077 != 0:
		return keys.WithHint(fmt.Errorf("%s can be entered by others: %w: mode is %04o", d, errLoose, info.Mode().Perm()),
			"name a directory of your own, such as ~/.cache/signet, that nobody else can enter (mode 0700)")
	}
	return nil
}

func read(path string) (e entry, err error) {
	if info, err := os.Lstat(path); err != nil {
		return e, err
	} else if !info.Mode().IsRegular() {
		return e, errors.New("not a regular file")
	} else if info.Mode().Perm()&0o077 != 0 {
		return e, fmt.Errorf("%w: mode is %04o", errLoose, info.Mode().Perm())
	}
	file, err := os.Open(path)
	if err != nil {
		return e, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxSize))
	if err != nil {
		return e, err
	}
	if err := keys.DecodeObject(text, &e); err != nil {
		return entry{}, ErrDamaged // what the decoder says may have the token in it
	}
	return e, nil
}

// Save keeps a token that was obtained at a moment, in place of the one of the same key. One that does not say when it
// ends is not kept. Tokens that ended long ago are deleted.
func (d Dir) Save(key Key, token tokens.Token, obtained time.Time) error {
	if token.Expires.IsZero() {
		return nil
	}
	key = key.normal()
	text, err := json.Marshal(entry{key, token.AccessToken(), token.Scope, obtained.UTC(), token.Expires.UTC()})
	if err == nil {
		err = os.MkdirAll(string(d), 0o700)
	}
	if err == nil {
		err = d.check()
	}
	if err == nil {
		err = replace(d.path(key), text)
	}
	if err != nil {
		return fmt.Errorf("keeping the token: %w", err)
	}
	d.tidy(obtained)
	return nil
}

// replace writes a file beside path and renames it, so that nobody ever reads half of one.
func replace(path string, text []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	_, err = file.Write(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// tidy deletes what nobody can need: tokens of yesterday, and what a program that was killed left behind.
func (d Dir) tidy(now time.Time) {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return
	}
	for _, entry := range entries {
		isOurs := strings.HasSuffix(entry.Name(), suffix) || strings.HasPrefix(entry.Name(), ".new-")
		if info, err := entry.Info(); err == nil && isOurs && now.Sub(info.ModTime()) > keepFiles {
			_ = os.Remove(filepath.Join(string(d), entry.Name()))
		}
	}
}
