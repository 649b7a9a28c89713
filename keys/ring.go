package keys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// RingKey is a private key, the moment from which it signs, and since when it is published, as far as is known. A ring
// drops what is finer than a second.
type RingKey struct {
	Key         *PrivateKey
	SignsFrom   time.Time
	PublishedAt time.Time // zero: not known
}

// Ring is the signing keys of an issuer, ordered by the moment each signs from. Which of them signs follows from the
// time alone: for each algorithm, the newest key whose moment has come. All of them are published. A ring is immutable
// and safe for concurrent use.
type Ring struct {
	keys []RingKey // newest first
}

// NewRing returns a ring of the given keys. No key at all is an [ErrNoKeys]; one key twice, or two keys of one
// algorithm that sign from the same second, an [ErrKey].
func NewRing(keys ...RingKey) (*Ring, error) {
	if len(keys) == 0 {
		return nil, ErrNoKeys
	}
	type moment struct {
		alg       Algorithm
		signsFrom int64
	}
	moments := make(map[moment]bool)
	ids := make(map[string]bool)
	for _, k := range keys {
		at := moment{k.Key.Algorithm(), k.SignsFrom.Unix()}
		switch {
		case ids[k.Key.ID()]:
			return nil, fmt.Errorf("%w: key %s is in the ring twice", ErrKey, k.Key.ID())
		case moments[at]:
			return nil, fmt.Errorf("%w: two %s keys sign from %s", ErrKey, at.alg, formatMoment(k.SignsFrom))
		}
		ids[k.Key.ID()], moments[at] = true, true
	}
	sorted := slices.Clone(keys)
	for i := range sorted { // as a file's name would have it, so that a ring is the same when it is read back
		sorted[i].SignsFrom = sorted[i].SignsFrom.Truncate(time.Second)
	}
	slices.SortFunc(sorted, func(a, b RingKey) int {
		if c := b.SignsFrom.Compare(a.SignsFrom); c != 0 {
			return c
		}
		return strings.Compare(string(a.Key.Algorithm()), string(b.Key.Algorithm()))
	})
	return &Ring{keys: sorted}, nil
}

// ReadRing reads the ring in the directory dir: one private key for each file whose name ends in .pem (in any letter
// case), and the name says what [FileName] would. Files with other endings are left alone. A file that is open to
// others, holds no usable key, or whose name does not fit its key makes the whole ring unreadable: a ring with a key
// missing would refuse tokens that are good. No directory and no such file are an [ErrNoKeys].
func ReadRing(dir string) (*Ring, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no directory %s", ErrNoKeys, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the key directory: %w", err)
	}
	var keys []RingKey
	for _, entry := range entries {
		if !isKeyFile(entry.Name()) {
			continue
		}
		key, err := readRingKey(filepath.Join(dir, entry.Name()))
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	ring, err := NewRing(keys...)
	if err != nil {
		return nil, fmt.Errorf("reading key directory %s: %w", dir, err)
	}
	return ring, nil
}

func readRingKey(path string) (RingKey, error) {
	if _, _, err := parseFileName(filepath.Base(path)); err != nil { // before it is opened
		return RingKey{}, fmt.Errorf("reading %s: %w", path, err)
	}
	text, err := readFile(path, checkPrivateMode)
	if err != nil {
		return RingKey{}, err
	}
	k, err := ParseRingKey(filepath.Base(path), text)
	if err != nil {
		return RingKey{}, fmt.Errorf("reading %s: %w", path, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return RingKey{}, err
	}
	k.PublishedAt = info.ModTime()
	return k, nil
}

// ParseRingKey reads a key of a ring: text as [ParsePrivateKey] does, under a name as [FileName] spells it. A name that
// does not fit the key is an [ErrKey]. The key comes without PublishedAt.
func ParseRingKey(name string, text []byte) (RingKey, error) {
	alg, signsFrom, err := parseFileName(name)
	if err != nil {
		return RingKey{}, err
	}
	key, err := ParsePrivateKey(text)
	if err != nil {
		return RingKey{}, err
	}
	if key.Algorithm() != alg {
		return RingKey{}, fmt.Errorf("%w: named %s, but the key is for %s", ErrKey, alg, key.Algorithm())
	}
	return RingKey{Key: key, SignsFrom: signsFrom}, nil
}

// Keys returns the keys, newest first. The caller owns the slice.
func (r *Ring) Keys() []RingKey { return slices.Clone(r.keys) }

// Active returns the key of algorithm alg that signs at now, or an [ErrInactive].
func (r *Ring) Active(alg Algorithm, now time.Time) (*PrivateKey, error) {
	for _, k := range r.keys {
		if k.Key.Algorithm() == alg && !k.SignsFrom.After(now) {
			return k.Key, nil
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrInactive, alg)
}

// Published returns the public half of every key. The keys that sign at now come first, because some verifiers look no
// further than the first key of a type; the others follow, newest first.
func (r *Ring) Published(now time.Time) *Set {
	var signing, others []*PublicKey
	for _, k := range r.keys {
		if active, err := r.Active(k.Key.Algorithm(), now); err == nil && active == k.Key {
			signing = append(signing, k.Key.Public())
		} else {
			others = append(others, k.Key.Public())
		}
	}
	set, err := NewSet(append(signing, others...)...)
	if err != nil {
		panic("keys: a ring has distinct keys: " + err.Error())
	}
	return set
}

// NextChange returns the first moment after now at which another key starts to sign, or false when none is waiting.
func (r *Ring) NextChange(now time.Time) (time.Time, bool) {
	var next time.Time
	for _, k := range r.keys { // newest first, so the last that is still to come is the next
		if k.SignsFrom.After(now) {
			next = k.SignsFrom
		}
	}
	return next, !next.IsZero()
}

const (
	fileExt    = ".pem"
	fileLayout = "20060102T150405Z"
)

// FileName is the name of a key's file in a ring's directory: the algorithm in lower case and the moment from which the
// key signs, in UTC to the second, such as es256-20261123T101500Z.pem.
func FileName(alg Algorithm, signsFrom time.Time) string {
	return strings.ToLower(string(alg)) + "-" + formatMoment(signsFrom) + fileExt
}

func formatMoment(t time.Time) string { return t.UTC().Format(fileLayout) }

func parseFileName(name string) (Algorithm, time.Time, error) {
	prefix, moment, _ := strings.Cut(strings.TrimSuffix(name, fileExt), "-")
	for _, alg := range Algorithms() {
		signsFrom, err := time.Parse(fileLayout, moment)
		if err == nil && prefix == strings.ToLower(string(alg)) && name == FileName(alg, signsFrom) {
			return alg, signsFrom, nil
		}
	}
	return "", time.Time{}, WithHint(
		fmt.Errorf("%w: a signing key's file is named by when it signs, like %s", ErrKey, FileName(ES256, exampleMoment)),
		"rename it to the moment from which it is to sign, in UTC, or move it out of the directory")
}

var exampleMoment = time.Date(2026, 11, 23, 10, 15, 0, 0, time.UTC)
