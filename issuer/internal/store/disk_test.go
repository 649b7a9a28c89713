package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"example.com/signet/issuer/internal/store"
)

// smallDisk returns a directory on a file system of its own.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+size); err != nil {
		t.Skipf("mounting a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmounting: %v", err)
		}
	})
	return dir
}

// On a full disk what was acknowledged stays, what is not is said, reading goes on, and with space all goes on.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, "2m")
	db := newSQLite(t)
	db.url = "sqlite:" + filepath.Join(dir, "issuer.db")
	s := db.open()
	db.seed(s)
	ballast := filepath.Join(dir, "ballast")
	must(t, os.WriteFile(ballast, make([]byte, 1<<20), 0o600))
	until := db.clock.Now().Add(time.Hour)
	wantSpend(t, s, "billing", "before", until, true)

	added := fill(t, s)
	if added == 0 {
		t.Fatal("the disk was full before")
	}
	spent := make(map[string]bool)
	for i := range 50 {
		id := fmt.Sprint(i)
		first, err := s.Spend(t.Context(), "billing", id, until)
		if err != nil {
			wantErr(t, err, store.ErrAway)
		}
		spent[id] = first
	}
	wantFilled(t, s, added)
	wantSpend(t, s, "billing", "before", until, false)
	if err := s.Close(); err != nil {
		t.Logf("closing: %v", err)
	}
	s = db.open(unmigrated) // a start on a full disk reads what is there
	wantFilled(t, s, added)

	must(t, os.Remove(ballast))
	must(t, s.AddClient(t.Context(), newClient(nameOf(added), orders)))
	added++
	for id, first := range spent {
		if again := spend(t, s, "billing", id, until); first && again {
			t.Errorf("%s was accepted twice", id)
		}
	}
	wantSpend(t, s, "billing", "new", until, true)
	wantFilled(t, s, added)
	if db.count("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'") != 0 {
		t.Error("the file is damaged")
	}
}

func nameOf(i int) string { return fmt.Sprintf("client-%06d", i) }

// fill adds clients until the disk is full, and says how many were acknowledged.
func fill(t *testing.T, s *store.Store) (added int) {
	t.Helper()
	for {
		client := newClient(nameOf(added), orders, "read")
		client.Name = fmt.Sprintf("%0200d", added)
		if err := s.AddClient(t.Context(), client); err != nil {
			wantErr(t, err, store.ErrAway, "full")
			return added
		}
		added++
	}
}

func wantFilled(t *testing.T, s *store.Store, added int) {
	t.Helper()
	if n, err := s.Clients(t.Context()); err != nil || n != added+1 {
		t.Errorf("%d clients, %v, want %d", n, err, added+1)
	}
	for i := range added {
		if _, err := s.Client(t.Context(), nameOf(i)); err != nil {
			t.Errorf("client %d: %v", i, err)
		}
	}
	if n := int64(len(trail(t, s, time.Time{}))); n != int64(added)+3 {
		t.Errorf("%d changes, want %d", n, added+3)
	}
}
