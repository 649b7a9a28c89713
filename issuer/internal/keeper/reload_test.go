package keeper_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/signet/issuer/internal/keeper"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if _, err := keeper.Open(h.config()); !errors.Is(err, keys.ErrNoKeys) {
		t.Errorf("empty: %v", err)
	}
	h.write("es256-20261101T000000Z.pem", keystest.PEM(keystest.ES256), 0o640)
	if _, err := keeper.Open(h.config()); !errors.Is(err, keys.ErrLooseMode) {
		t.Errorf("open to others: %v", err)
	}
	cfg := h.config()
	cfg.Store = keys.Directory(h.path("es256-20261101T000000Z.pem"))
	if _, err := keeper.Open(cfg); err == nil {
		t.Error("a file is no directory")
	}
}

// Whatever a hand does to the directory: an error that says so, once in the log, the ring as it was, and all is well once
// it is undone.
func TestRefusesWhatBreaksVerifiers(t *testing.T) {
	t.Parallel()
	const nonsense = "my-key.pem"
	rows := []struct {
		name string
		do   func(h *house, active, standby string) // the names of the files
		want error
		hint string // with ACTIVE and KID for the active key's
		undo func(h *house, active, standby string)
	}{
		{"active key replaced", func(h *house, active, _ string) {
			h.write(active, keystest.PEM(keystest.ES256), 0o600)
		}, keeper.ErrReplaced, "put the old key back; a new one comes in with: issuer keys import FILE", nil},
		{"standby replaced, an hour before it signs", func(h *house, _, standby string) {
			h.pass(20*day - time.Hour)
			h.write(standby, keystest.PEM(keystest.ES256), 0o600)
			h.publish(standby, 0)
		}, keeper.ErrReplaced, "put the old key back; a new one comes in with: issuer keys import FILE", nil},
		{"the two swapped", func(h *house, active, standby string) {
			h.rename(active, "x")
			h.rename(standby, active)
			h.rename("x", standby)
		}, keeper.ErrReplaced, "put the old key back; a new one comes in with: issuer keys import FILE", nil},
		{"a stranger that signs at once", func(h *house, _, _ string) {
			h.write(h.name(keys.ES256, -time.Hour), keystest.PEM(keystest.ES256), 0o600)
			h.publish(h.name(keys.ES256, -time.Hour), -time.Hour)
		}, keeper.ErrEarly, "let it sign later; the name of its file would be es256-20261124T091501Z.pem", func(h *house, _, _ string) {
			h.must(os.Remove(h.path(h.name(keys.ES256, -time.Hour))))
		}},
		{"active key renamed to later", func(h *house, active, _ string) {
			h.rename(active, h.name(keys.ES256, 10*day))
		}, keeper.ErrInactive, "put the key KID back, from a moment that has passed", func(h *house, active, _ string) {
			h.rename(h.name(keys.ES256, 10*day), active)
		}},
		{"active key removed", func(h *house, active, _ string) {
			h.must(os.Remove(h.path(active)))
		}, keeper.ErrInactive, "put the key KID back, from a moment that has passed", nil},
		{"renamed to nonsense", func(h *house, _, standby string) { h.rename(standby, nonsense) },
			keys.ErrKey, "rename it to the moment from which it is to sign, in UTC, or move it out of the directory",
			func(h *house, _, standby string) { h.rename(nonsense, standby) }},
		{"renamed to another algorithm", func(h *house, _, standby string) { h.rename(standby, h.name(keys.RS256, 20*day)) },
			keys.ErrKey, "", func(h *house, _, standby string) { h.rename(h.name(keys.RS256, 20*day), standby) }},
		{"truncated", func(h *house, active, _ string) { h.must(os.Truncate(h.path(active), 100)) }, keys.ErrKey, "", nil},
		{"empty", func(h *house, active, _ string) { h.must(os.Truncate(h.path(active), 0)) }, keys.ErrKey, "", nil},
		{"mode 0644", func(h *house, active, _ string) { h.must(os.Chmod(h.path(active), 0o644)) }, //nolint:gosec // the point
			keys.ErrLooseMode, "if nobody has read it: chmod 600 ACTIVE (otherwise make a new key)",
			func(h *house, active, _ string) { h.must(os.Chmod(h.path(active), 0o600)) }},
		{"one key twice", func(h *house, active, _ string) {
			text, err := os.ReadFile(h.path(active))
			h.must(err)
			h.write(h.name(keys.ES256, 40*day), text, 0o600)
		}, keys.ErrKey, "", func(h *house, _, _ string) { h.must(os.Remove(h.path(h.name(keys.ES256, 40*day)))) }},
		{"all removed", func(h *house, active, standby string) {
			h.must(os.Remove(h.path(active)))
			h.must(os.Remove(h.path(standby)))
		}, keys.ErrNoKeys, "", nil},
		{"the directory removed", func(h *house, _, _ string) { h.must(os.RemoveAll(string(h.dir))) }, keys.ErrNoKeys, "", nil},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			h, kid, _ := newPair(t)
			active, standby := h.name(keys.ES256, -10*day), h.name(keys.ES256, 20*day)
			saved := h.save()
			k := h.open()
			h.look(k)
			ring := k.Ring()
			h.log.take(t)

			row.do(h, active, standby)
			hint := strings.NewReplacer("ACTIVE", h.path(active), "KID", kid).Replace(row.hint)
			for range 3 {
				err := k.Look()
				if !errors.Is(err, row.want) || hintOf(err) != hint {
					t.Fatalf("got %v, hint %q; want %v, hint %q", err, hintOf(err), row.want, hint)
				}
				if !errors.Is(k.Trouble(), row.want) {
					t.Errorf("trouble is %v", k.Trouble())
				}
				if k.Ring() != ring {
					t.Error("the ring is another one")
				}
				h.wantActive(k, keys.ES256, kid)
			}
			if got := h.log.count(slog.LevelError); got != 1 {
				t.Errorf("the log says so %d times: %s", got, h.log)
			}

			if row.undo != nil {
				row.undo(h, active, standby)
			} else {
				h.restore(saved)
			}
			h.look(k)
			h.wantActive(k, keys.ES256, kid)
			row.do(h, active, standby)
			if err := k.Look(); !errors.Is(err, row.want) || h.log.count(slog.LevelError) != 2 {
				t.Errorf("once more: %v; log: %s", err, h.log)
			}
		})
	}
}

// save copies the directory, and restore lays it anew from the copy, all files with the time of this moment.
func (h *house) save() map[string][]byte {
	h.t.Helper()
	saved := make(map[string][]byte)
	for name := range h.files() {
		text, err := os.ReadFile(h.path(name))
		h.must(err)
		saved[name] = text
	}
	return saved
}

func (h *house) restore(saved map[string][]byte) {
	h.t.Helper()
	h.must(os.MkdirAll(string(h.dir), 0o700))
	for name, text := range saved {
		h.write(name, text, 0o600)
	}
}

// The standby renamed to sign at once, before verifiers have it. The hint's name is one that is safe.
func TestRenamedToAnEarlierMoment(t *testing.T) {
	t.Parallel()
	h, active, standby := newPair(t)
	name, early := h.name(keys.ES256, 20*day), h.name(keys.ES256, -time.Minute)
	h.publish(name, -time.Hour)
	k := h.open()
	h.look(k)
	ring := k.Ring()
	h.rename(name, early)
	err := k.Look()
	safe := h.name(keys.ES256, 23*time.Hour+time.Second)
	if !errors.Is(err, keeper.ErrEarly) || hintOf(err) != "let it sign later; the name of its file would be "+safe {
		t.Fatalf("got %v, hint %q", err, hintOf(err))
	}
	if k.Ring() != ring {
		t.Error("the ring is another one")
	}
	h.rename(early, safe)
	h.look(k)
	h.wantActive(k, keys.ES256, active)
	h.pass(23*time.Hour + time.Second)
	h.look(k)
	h.wantActive(k, keys.ES256, standby)
}

// What is safe is taken over at once.
func TestFollows(t *testing.T) {
	t.Parallel()
	h, active, standby := newPair(t)
	name := h.name(keys.ES256, 20*day)
	k := h.open()
	h.look(k)

	other := newKey(t, keys.ES256) // as when a standby is revoked, and its successor has the same moment
	h.write(name, pemOf(t, other), 0o600)
	h.publish(name, 0)
	h.look(k)
	if keys := k.Ring().Keys(); keys[0].Key.ID() != other.ID() || other.ID() == standby {
		t.Errorf("the standby is %s", keys[0].Key.ID())
	}
	h.wantActive(k, keys.ES256, active)

	h.publish(name, -day)
	h.look(k)
	h.rename(name, h.name(keys.ES256, 0)) // published for just as long as it has to be
	h.look(k)
	h.wantActive(k, keys.ES256, other.ID())
}

// A removed standby is made again; a keeper that was slow to look sees another key under the same name, and follows.
func TestTwoKeepersAndARemovedStandby(t *testing.T) {
	t.Parallel()
	h, _, standby := newPair(t)
	one, other := h.open(), h.open()
	h.look(one)
	h.look(other)
	name := h.name(keys.ES256, 20*day)
	h.must(os.Remove(h.path(name)))
	h.look(one)
	h.publish(name, 0)
	h.look(other)
	if kid := h.files()[name]; kid == standby || other.Ring().Keys()[0].Key.ID() != kid {
		t.Errorf("%s is there, and the other serves %s", kid, other.Ring().Keys()[0].Key.ID())
	}
}

// The way of Kubernetes: each key is a link to ..data, a link that is swapped for one to a new directory, in which all
// files are new. The keys that were known are as old as before, so the rotation that is in it is safe.
func TestKubernetesSwap(t *testing.T) {
	t.Parallel()
	h, active, standby := newPair(t)
	old := h.save()
	was, is := h.name(keys.ES256, 20*day), h.name(keys.ES256, -time.Minute)
	h.dir = keys.Directory(t.TempDir())
	lay := func(version string, files map[string][]byte) {
		h.must(os.Mkdir(h.path(version), 0o700))
		for name, text := range files {
			h.write(filepath.Join(version, name), text, 0o600)
			h.publish(filepath.Join(version, name), 0)
		}
		h.must(os.Symlink(version, h.path("..data_tmp")))
		h.rename("..data_tmp", "..data")
	}
	lay("..1", old)
	for name := range old {
		h.must(os.Symlink("..data/"+name, h.path(name)))
		h.publish(name, -2*day) // follows the link
	}
	k := h.open()
	h.look(k)
	h.wantActive(k, keys.ES256, active)

	lay("..2", old)
	h.look(k)
	for _, key := range k.Ring().Keys() {
		if want := h.clock.Now().Add(-2 * day); !key.PublishedAt.Equal(want) {
			t.Errorf("%s is published since %v, want %v", key.Key.ID(), key.PublishedAt, want)
		}
	}

	renamed := map[string][]byte{is: old[was]}
	for name, text := range old {
		if name != was {
			renamed[name] = text
		}
	}
	h.must(os.Remove(h.path(was)))
	h.must(os.Symlink("..data/"+is, h.path(is)))
	lay("..3", renamed)
	h.must(k.Look())
	h.wantActive(k, keys.ES256, standby)
}
