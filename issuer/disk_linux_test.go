package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/signet/keys/keystest"
)

// newDisk is a disk of a few megabytes, until the test ends.
func newDisk(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m,mode=0700")
	if errors.Is(err, syscall.EPERM) {
		t.Skip("only root can make a small disk")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fillUp leaves no room on a disk and returns the file that takes it.
func fillUp(t *testing.T, dir string) (ballast string) {
	t.Helper()
	ballast = filepath.Join(dir, "ballast")
	file, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := io.Copy(file, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	return ballast
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// On a full disk nobody can be sure that an assertion is remembered, so none is accepted; secrets work on, and a change is
// refused as a whole. With room again all goes on.
func TestDatabaseOnAFullDisk(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	registry, secret := keyed(t)
	h := newDatabaseHome(t, "sqlite:"+disk+"/issuer.db", registry)
	p := h.start(unlimited()...)
	spent := asserted(t, common, "billing", keystest.Key(keystest.ES256Other))
	p.present("with room", spent, true)

	ballast := fillUp(t, disk)
	refused := asserted(t, common, "billing", keystest.Key(keystest.ES256Other))
	full := time.Now()
	h.must(untilAfter(full.Add(10*time.Second), func() error { // what the log still has room for goes into it
		got, err := p.assert("billing", keystest.Key(keystest.ES256Other))
		if err != nil || got.status != 503 || got.code != "temporarily_unavailable" || got.retryAfter == "" {
			return errors.Join(wants(503, got, nil), err)
		}
		return nil
	}))
	for range 20 {
		got, err := ask(impatient, p.at(), refused)
		h.must(wants(503, got, err))
		got, err = p.withSecret("legacy", secret)
		h.must(wants(200, got, err))
	}
	p.log.await(t, p.ended, "audit", `"event":"token.refused"`, `"cause":"recording an assertion id: `, "disk is full")
	got := h.run("clients", "add", "new", "--secret", "--allow", "https://orders.example.com")
	if got.code == exitOK || got.stdout != "" || !strings.Contains(got.stderr, "full") {
		t.Errorf("a client added: %+v", got)
	}

	h.must(os.Remove(ballast))
	h.must(until(func() error {
		got, err := p.assert("billing", keystest.Key(keystest.ES256Other))
		return wants(200, got, err)
	}))
	p.present("what was used before", spent, false)
	p.present("what was refused", refused, true)
	if listed := h.ok("clients", "list"); strings.Contains(listed, "new") {
		t.Errorf("a client that was refused is there:\n%s", listed)
	}
	h.ok("clients", "disable", "legacy")
	h.must(until(func() error {
		got, err := p.withSecret("legacy", secret)
		return wants(401, got, err)
	}))
	p.stop()
}

// A database that cannot be written is refused at start, with what to do.
func TestDatabaseReadOnly(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	registry, _ := keyed(t)
	h := newDatabaseHome(t, "sqlite:"+disk+"/issuer.db", registry)
	if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	p := h.launch()
	p.end(exitUsage)
	const hint = "hint: --database names another place, like sqlite:/var/lib/signet/issuer.db; it must be writable\n"
	text := p.log.String()
	if !strings.HasPrefix(text, "error: --database: ") || !strings.Contains(text, disk+"/issuer.db: ") ||
		!strings.HasSuffix(text, hint) {
		t.Errorf("stderr\n%s", text)
	}
}
