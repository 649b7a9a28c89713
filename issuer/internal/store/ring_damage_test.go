package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/issuer/internal/masterkey"
	"example.com/signet/issuer/internal/store"
	"example.com/signet/keys"
)

// A row of which anything was changed by hand is named and left out, and the others serve. Put back, it serves too.
func TestRingDamaged(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		ring, all := filled(t, db.open())
		other := newRing(t, db.open())
		kid := all[0].Key.ID()
		where := " WHERE kid = '" + kid + "'"
		flipped := "substr(sealed, 1, 40) || substr(sealed, 42)"
		if db.isSQLite() {
			flipped = "CAST(" + flipped + " AS BLOB)"
		}
		tests := []struct{ name, change, kid string }{
			{"kid", "UPDATE signet_keys SET kid = 'other'" + where, "other"},
			{"kid that is a terminal's command", "UPDATE signet_keys SET kid = 'a\x1b[2J'" + where, "a\x1b[2J"},
			{"algorithm", "UPDATE signet_keys SET alg = 'RS256'" + where, kid},
			{"algorithm that is none", "UPDATE signet_keys SET alg = 'none'" + where, kid},
			{"signs from", "UPDATE signet_keys SET signs_from = signs_from - 1" + where, kid},
			{"signs from before all", "UPDATE signet_keys SET signs_from = -9223372036854775808" + where, kid},
			{"published", "UPDATE signet_keys SET published_at = 0" + where, kid},
			{"master key", "UPDATE signet_keys SET master_key = '" + masterIDs(t, other)[0] + "'" + where, kid},
			{"no master key", "UPDATE signet_keys SET master_key = ''" + where, kid},
			{"sealed, one octet less", "UPDATE signet_keys SET sealed = " + flipped + where, kid},
			{"sealed, one octet more", "UPDATE signet_keys SET sealed = sealed || substr(sealed, 1, 1)" + where, kid},
			{"sealed, cut", "UPDATE signet_keys SET sealed = substr(sealed, 1, 11)" + where, kid},
			{"sealed, nothing", "UPDATE signet_keys SET sealed = substr(sealed, 1, 0)" + where, kid},
			{"sealed, another's", "UPDATE signet_keys SET sealed = (SELECT sealed FROM signet_keys WHERE kid = '" +
				all[1].Key.ID() + "')" + where, kid},
		}
		if db.isSQLite() { // which keeps what is given
			tests = append(tests, []struct{ name, change, kid string }{
				{"signs from no number", "UPDATE signet_keys SET signs_from = 'soon'" + where, kid},
				{"published at no number", "UPDATE signet_keys SET published_at = 1.5" + where, kid},
				{"sealed, as text", "UPDATE signet_keys SET sealed = hex(sealed)" + where, kid},
			}...)
		}
		for _, tt := range tests {
			restore := db.save("signet_keys")
			db.exec(tt.change)
			was := db.dump()
			t.Run(tt.name, func(t *testing.T) {
				read, err := ring.Read()
				wantDamaged(t, err, tt.kid)
				if read == nil {
					t.Fatal("no ring of the others")
				}
				if diff := cmp.Diff(linesOf(t, all[1:]), linesOf(t, read.Keys())); diff != "" {
					t.Errorf("the others, - want + got:\n%s", diff)
				}
				wantErr(t, ring.Move(tt.kid, time.Now()), keys.ErrDamaged)
			})
			db.wantUnchanged(was)
			restore()
			wantKeys(t, ring, all...)
		}
	})
}

// save returns what puts a table back to how it is now.
func (db *database) save(table string) (restore func()) {
	db.t.Helper()
	db.exec("DROP TABLE IF EXISTS saved")
	db.exec("CREATE TABLE saved AS SELECT * FROM " + table)
	return func() {
		db.t.Helper()
		db.exec("DELETE FROM " + table)
		db.exec("INSERT INTO " + table + " SELECT * FROM saved")
	}
}

// wantDamaged sees that the error names these keys, and says what to do.
func wantDamaged(t *testing.T, err error, kids ...string) {
	t.Helper()
	var damaged *keys.DamagedError
	if !errors.As(err, &damaged) || !errors.Is(err, masterkey.ErrSeal) {
		t.Fatalf("error %v", err)
	}
	slices.Sort(kids)
	slices.Sort(damaged.KeyIDs)
	if diff := cmp.Diff(kids, damaged.KeyIDs); diff != "" {
		t.Errorf("damaged, - want + got:\n%s", diff)
	}
	if hintOf(err) == "" {
		t.Error("no hint")
	}
	for _, r := range err.Error() {
		if r < ' ' && r != '\n' {
			t.Errorf("the error has a control character: %q", err)
		}
	}
}

// Two rows that have exchanged their seals are both refused, and when all are there is no ring.
func TestRingSwapped(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		ring, all := filled(t, db.open())
		db.exec("CREATE TABLE sealed AS SELECT kid, sealed FROM signet_keys")
		db.exec("UPDATE signet_keys SET sealed = (SELECT s.sealed FROM sealed s WHERE s.kid <> signet_keys.kid AND s.kid <> $1) "+
			"WHERE kid <> $1", all[1].Key.ID())
		read, err := ring.Read()
		wantDamaged(t, err, all[0].Key.ID(), all[2].Key.ID())
		if diff := cmp.Diff(linesOf(t, all[1:2]), linesOf(t, read.Keys())); diff != "" {
			t.Errorf("the other, - want + got:\n%s", diff)
		}
		db.exec("UPDATE signet_keys SET published_at = published_at - 1 WHERE kid = $1", all[1].Key.ID())
		read, err = ring.Read()
		wantDamaged(t, err, all[0].Key.ID(), all[1].Key.ID(), all[2].Key.ID())
		wantErr(t, err, keys.ErrNoKeys)
		if read != nil {
			t.Errorf("a ring of damaged keys: %v", read)
		}
		_, err = masterkey.Append(ring.MasterKeys)
		must(t, err)
		was := db.dump()
		_, _, err = ring.RotateMaster()
		wantErr(t, err, keys.ErrDamaged)
		db.wantUnchanged(was)
		for _, k := range all { // a damaged key can still be given up
			must(t, ring.Remove(k.Key.ID()))
		}
		_, err = ring.Read()
		wantErr(t, err, keys.ErrNoKeys)
	})
}

// The id of the master key, changed by hand, damages no row and stops nobody for good.
func TestRingMasterChanged(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		ring, all := filled(t, db.open())
		id := masterIDs(t, ring)[0]
		for name, change := range map[string]string{
			"another id": "UPDATE signet_master_key SET id = '0123456789abcdef'",
			"no id":      "UPDATE signet_master_key SET id = ''",
			"no row":     "DELETE FROM signet_master_key",
		} {
			db.exec(change)
			was := db.dump()
			t.Run(name, func(t *testing.T) { wantNoRing(t, ring) })
			db.wantUnchanged(was)
			db.exec("DELETE FROM signet_master_key")
			db.exec("INSERT INTO signet_master_key (id) VALUES ($1)", id)
			wantKeys(t, ring, all...)
		}
	})
}

// wantNoRing sees that reading fails, or serves nothing, and does not panic.
func wantNoRing(t *testing.T, ring store.Ring) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("reading the ring panics: %v", p)
		}
	}()
	if read, err := ring.Read(); err == nil || read != nil {
		t.Errorf("%v, %v", read, err)
	}
}
