package store_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/issuer/internal/masterkey"
	"example.com/signet/issuer/internal/store"
	"example.com/signet/keys"
)

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}

// Under the wrong master key nothing is read and nothing is changed, and the error names the right one by its id.
func TestWrongMasterKey(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		ring, all := filled(t, s)
		id := masterIDs(t, ring)[0]
		if found, err := s.MasterKey(t.Context()); err != nil || found != id {
			t.Errorf("the master key is %q, %v, want %q", found, err, id)
		}
		wrong := newRing(t, s)
		was := db.dump()
		_, err := wrong.Read()
		_, _, rotating := wrong.RotateMaster()
		for name, err := range map[string]error{
			"reading":  err,
			"adding":   wrong.Add(ringKey(t, 9*time.Hour)),
			"moving":   wrong.Move(all[0].Key.ID(), all[0].SignsFrom.Add(time.Hour)),
			"rotating": rotating,
		} {
			t.Run(name, func(t *testing.T) {
				wantErr(t, err, store.ErrMasterKey, id, wrong.MasterKeys, masterIDs(t, wrong)[0])
				if !strings.Contains(hintOf(err), "--master-key-file") {
					t.Errorf("hint %q", hintOf(err))
				}
			})
		}
		missing := store.Ring{Store: s, MasterKeys: ring.MasterKeys + ".missing"}
		_, err = missing.Read()
		wantErr(t, err, os.ErrNotExist)
		wantErr(t, missing.Add(ringKey(t, 9*time.Hour)), os.ErrNotExist)
		_, err = missing.State()
		wantErr(t, err, os.ErrNotExist)
		db.wantUnchanged(was)
		wantKeys(t, ring, all...)
	})
}

// There is no master key before the first key, and the newest of the file is chosen then.
func TestMasterKeyChosen(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		ring := newRing(t, s)
		if id, err := s.MasterKey(t.Context()); err != nil || id != "" {
			t.Errorf("the master key of no keys: %q, %v", id, err)
		}
		_, err := masterkey.Append(ring.MasterKeys)
		must(t, err)
		must(t, ring.Add(ringKey(t, 0)))
		if id, err := s.MasterKey(t.Context()); err != nil || id != masterIDs(t, ring)[1] {
			t.Errorf("%q, %v, of %q", id, err, masterIDs(t, ring))
		}
	})
}

// While two master keys are live, an issuer reads on under each of them, before and after the rows are sealed anew.
func TestRotateMaster(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		ring, _ := filled(t, s)
		old := store.Ring{Store: db.open(), MasterKeys: ring.MasterKeys + ".old"}
		must(t, copyFile(ring.MasterKeys, old.MasterKeys))
		was, state := db.dump(), stateOf(t, ring)
		before, after, err := ring.RotateMaster()
		if err != nil || before != after || before != masterIDs(t, ring)[0] {
			t.Errorf("with one master key: %q, %q, %v", before, after, err)
		}
		db.wantUnchanged(was)

		_, err = masterkey.Append(ring.MasterKeys)
		must(t, err)
		ids := masterIDs(t, ring)
		if stateOf(t, ring) == state {
			t.Error("another master key is live and the state is the same")
		}
		must(t, ring.Add(ringKey(t, -time.Hour))) // under the one that seals all others
		read, err := old.Read()
		must(t, err)
		all := read.Keys()

		state = stateOf(t, ring)
		before, after, err = ring.RotateMaster()
		if err != nil || before != ids[0] || after != ids[1] {
			t.Errorf("%q, %q, %v, want %q", before, after, err, ids)
		}
		wantKeys(t, ring, all...)
		if stateOf(t, ring) == state {
			t.Error("all rows were sealed anew and the state is the same")
		}
		_, err = old.Read()
		wantErr(t, err, store.ErrMasterKey, ids[1])
		if n := db.count("SELECT count(*) FROM signet_keys WHERE master_key <> $1", ids[1]); n != 0 {
			t.Errorf("%d rows are under another master key", n)
		}
		wantRotated(t, s, ids, len(all))
	})
}

func wantRotated(t *testing.T, s *store.Store, ids []string, n int) {
	t.Helper()
	all := trail(t, s, time.Time{})
	last := all[len(all)-1]
	got := []string{string(last.Kind), last.Object, last.Event, last.Detail}
	if diff := cmp.Diff([]string{"master_key", ids[1], "master_key.rotated", "from " + ids[0]}, got); diff != "" {
		t.Errorf("the audit trail, - want + got:\n%s", diff)
	}
	resealed := 0
	for _, c := range all {
		if c.Event == "key.resealed" && c.Revision == last.Revision {
			resealed++
		}
	}
	if resealed != n {
		t.Errorf("%d of %d keys were sealed anew", resealed, n)
	}
}

// With one row damaged none is sealed anew.
func TestRotateMasterRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		ring, all := filled(t, db.open())
		_, err := masterkey.Append(ring.MasterKeys)
		must(t, err)
		db.exec("UPDATE signet_keys SET published_at = 0 WHERE kid = $1", all[0].Key.ID()) // the last of them
		was := db.dump()
		before, _, err := ring.RotateMaster()
		wantErr(t, err, keys.ErrDamaged, all[0].Key.ID())
		if before != masterIDs(t, ring)[0] {
			t.Errorf("before: %q", before)
		}
		db.wantUnchanged(was)
		must(t, ring.Remove(all[0].Key.ID()))
		_, _, err = ring.RotateMaster()
		must(t, err)
		wantKeys(t, ring, all[1:]...)
	})
}
