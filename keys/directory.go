package keys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// What can go wrong with a change to a directory of keys.
var (
	ErrTaken      = errors.New("a key is there already")        // the same key, or another that signs from that second
	ErrUnknownKID = errors.New("no key has that kid")           // nothing to change
	ErrReadOnly   = errors.New("key directory is not writable") // somebody else keeps its keys
)

// Directory is a ring in files, one private key each, in the directory of that path. The file's name says when the key
// signs from, as [FileName] spells it; the time at which the file was written says since when it is published. Its
// methods are safe for concurrent use by any number of processes on one machine: changes are made under
// [Directory.Lock], and each is one rename or link, so that a reader sees the ring before it or after it.
type Directory string

// String returns the path.
func (d Directory) String() string { return string(d) }

// Make makes the directory, open to nobody else, where it is missing.
func (d Directory) Make() error { return os.MkdirAll(string(d), 0o700) }

// Read reads the ring, as [ReadRing] does, and once more when a file went away meanwhile.
func (d Directory) Read() (*Ring, error) {
	for {
		ring, err := ReadRing(string(d))
		if !vanished(err) {
			return ring, err
		}
	}
}

// vanished tells a file that was removed or renamed under the reader's hands from a link that leads nowhere.
func vanished(err error) bool {
	var at *fs.PathError
	if !errors.Is(err, fs.ErrNotExist) || !errors.As(err, &at) {
		return false
	}
	_, err = os.Lstat(at.Path)
	return errors.Is(err, fs.ErrNotExist)
}

// State describes the files of the ring without reading them: it changes whenever one is added, removed, renamed or
// replaced, by whatever way. A directory that is not there is the empty state.
func (d Directory) State() (string, error) {
	entries, err := os.ReadDir(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the key directory: %w", err)
	}
	var state strings.Builder
	for _, entry := range entries {
		if !isKeyFile(entry.Name()) {
			continue
		}
		// Not entry.Info: where the files are links, as Kubernetes lays them, what counts is what they point to.
		info, err := os.Stat(filepath.Join(string(d), entry.Name()))
		if vanished(err) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("reading the key directory: %w", err)
		}
		// The inode tells files of one size and time apart, as a copy that keeps times makes them.
		var inode uint64
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			inode = stat.Ino
		}
		fmt.Fprintf(&state, "%s %d %d %d %v\n", entry.Name(), inode, info.ModTime().UnixNano(), info.Size(), info.Mode())
	}
	return state.String(), nil
}

// Lock waits until nobody else on this machine changes the directory and returns what ends that. The lock is on the
// directory itself: it leaves no file behind, and ends with the process.
func (d Directory) Lock() (unlock func(), err error) {
	dir, err := os.Open(string(d))
	if err != nil {
		return nil, fmt.Errorf("locking the key directory: %w", err)
	}
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		_ = dir.Close()
		return nil, fmt.Errorf("locking the key directory: %w", err)
	}
	return func() { _ = dir.Close() }, nil
}

// Writable returns nil when files can be added, and an [ErrReadOnly] when they cannot.
func (d Directory) Writable() error {
	probe, err := os.CreateTemp(string(d), tempPattern)
	if err != nil {
		return notCreated(err)
	}
	_ = probe.Close()
	_ = os.Remove(probe.Name())
	return nil
}

// notCreated tells a directory that is not ours to write from one that cannot be written just now: a full disk is
// trouble, not somebody else's job.
func notCreated(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	return fmt.Errorf("writing to the key directory: %w", err)
}

// tempPattern names files that are not finished; nobody reads them as keys.
const tempPattern = ".unfinished-*"

// Add writes a key that signs from the given second. It is on the disk when Add returns, or the directory is as it was.
// The same key, or one that signs from that second, is an [ErrTaken]; a directory that cannot be written an
// [ErrReadOnly].
func (d Directory) Add(k RingKey) error {
	if path, _, err := d.find(k.Key.ID()); err == nil {
		return fmt.Errorf("%w: %s", ErrTaken, filepath.Base(path))
	}
	text, err := k.Key.MarshalPEM()
	if err != nil {
		return err
	}
	temp, err := d.writeTemp(text)
	if err != nil {
		return err
	}
	defer os.Remove(temp) //nolint:errcheck // after the link it is a second name, before it nobody's file
	return d.link(temp, FileName(k.Key.Algorithm(), k.SignsFrom))
}

func (d Directory) writeTemp(text []byte) (name string, err error) {
	file, err := os.CreateTemp(string(d), tempPattern) // mode 0600
	if err != nil {
		return "", notCreated(err)
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		_ = os.Remove(file.Name())
		return "", fmt.Errorf("writing a key: %w", err)
	}
	return file.Name(), nil
}

// link gives a finished file its name. Unlike a rename it never replaces another file.
func (d Directory) link(from, name string) error {
	err := os.Link(from, filepath.Join(string(d), name))
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%w: %s", ErrTaken, name)
	case err != nil:
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return d.sync()
}

// sync makes the names durable.
func (d Directory) sync() error {
	dir, err := os.Open(string(d))
	if err != nil {
		return fmt.Errorf("syncing the key directory: %w", err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("syncing the key directory: %w", err)
	}
	return nil
}

// Move makes the key named kid sign from another second, by one rename. The file keeps its time: the key is published
// since it was. A key that signs from that second already is an [ErrTaken].
func (d Directory) Move(kid string, signsFrom time.Time) error {
	path, key, err := d.find(kid)
	if err != nil {
		return err
	}
	name := FileName(key.Algorithm(), signsFrom)
	if name == filepath.Base(path) {
		return nil
	}
	if _, err := os.Lstat(filepath.Join(string(d), name)); err == nil {
		return fmt.Errorf("%w: %s", ErrTaken, name)
	}
	if err := os.Rename(path, filepath.Join(string(d), name)); err != nil {
		return fmt.Errorf("renaming %s: %w", path, err)
	}
	return d.sync()
}

// Remove deletes the key named kid, and what a [Directory.Add] that was killed has left, which may be the same key.
func (d Directory) Remove(kid string) error {
	path, _, err := d.find(kid)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing %s: %w", path, err)
	}
	unfinished, _ := fs.Glob(os.DirFS(string(d)), tempPattern)
	for _, name := range unfinished {
		if err := os.Remove(filepath.Join(string(d), name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing %s: %w", name, err)
		}
	}
	return d.sync()
}

// find returns the file of a key. It reads files one by one, so that a ring with one bad file can still be mended.
func (d Directory) find(kid string) (string, *PrivateKey, error) {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return "", nil, fmt.Errorf("reading the key directory: %w", err)
	}
	for _, entry := range entries {
		path := filepath.Join(string(d), entry.Name())
		if !isKeyFile(entry.Name()) {
			continue
		}
		if key, err := readRingKey(path); err == nil && key.Key.ID() == kid {
			return path, key.Key, nil
		}
	}
	return "", nil, fmt.Errorf("%w: %.64q", ErrUnknownKID, kid)
}

func isKeyFile(name string) bool { return strings.EqualFold(filepath.Ext(name), fileExt) }
