package pgtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// room is a temporary directory that is the account's. While it is in use, we hold the lock on a file in it; one that
// nobody holds is what a test left that was killed, and the next test removes it.
type room struct {
	dir  string
	lock *os.File
}

const (
	roomPrefix = "pgtest-"
	lockName   = "lock"
)

// newRoom makes a room where the account can reach it: root's own temporary directory may be closed to it. Memory comes
// first, unless TMPDIR says otherwise: a cluster is a thousand small files, which some file systems are slow to remake.
func newRoom(cred *syscall.Credential) (*room, error) {
	places := []string{os.TempDir(), "/tmp", "/var/tmp"}
	if os.Getenv("TMPDIR") == "" {
		places = append(memory(), places...)
	}
	for _, place := range places {
		if cred == nil || reachable(place, cred) {
			removeAbandoned(place)
			return newRoomIn(place, cred)
		}
	}
	return nil, fmt.Errorf("the user %d can reach none of %q", cred.Uid, places)
}

// newRoomIn gives the room its name when it is locked: without a lock it would seem abandoned.
func newRoomIn(place string, cred *syscall.Credential) (*room, error) {
	dir, err := os.MkdirTemp(place, "new-"+roomPrefix)
	if err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	r := &room{dir, lock}
	err = errors.Join(syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), chown(dir, cred))
	if err == nil {
		r.dir = filepath.Join(place, strings.TrimPrefix(filepath.Base(dir), "new-"))
		err = os.Rename(dir, r.dir)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir), lock.Close())
	}
	return r, nil
}

func (r *room) remove() error { return errors.Join(os.RemoveAll(r.dir), r.lock.Close()) }

// removeAbandoned removes the rooms of processes that are no more. What it may not remove is another user's.
func removeAbandoned(place string) {
	locks, _ := filepath.Glob(filepath.Join(place, roomPrefix+"*", lockName))
	for _, name := range locks {
		lock, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(filepath.Dir(name))
		}
		_ = lock.Close()
	}
}

// reachable reports whether the account may enter the directory and all those above it.
func reachable(dir string, cred *syscall.Credential) bool {
	dir, err := filepath.Abs(dir)
	for ; err == nil; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || !mayEnter(info, cred) {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
	return false
}

func mayEnter(info os.FileInfo, cred *syscall.Credential) bool {
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || !info.IsDir():
		return false
	case owner.Uid == cred.Uid:
		return info.Mode()&0o100 != 0
	case owner.Gid == cred.Gid:
		return info.Mode()&0o010 != 0
	default:
		return info.Mode()&0o001 != 0
	}
}
