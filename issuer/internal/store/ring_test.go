package store_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/issuer/internal/masterkey"
	"example.com/signet/issuer/internal/store"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// Keys come back as they went in, for every store that has the master key.
func TestRing(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		ring := newRing(t, s)
		_, err := ring.Read()
		wantErr(t, err, keys.ErrNoKeys, ring.String())
		empty := stateOf(t, ring)
		ring2, all := filled(t, s)
		wantKeys(t, ring2, all...)
		wantKeys(t, store.Ring{Store: db.open(), MasterKeys: ring2.MasterKeys}, all...)
		if state := stateOf(t, ring2); state == empty {
			t.Errorf("the state is %q still", state)
		}
		silent := keys.RingKey{Key: ringKey(t, 0).Key, SignsFrom: db.clock.Now().Add(3 * time.Hour)}
		must(t, ring2.Add(silent))
		silent.PublishedAt = db.clock.Now() // which nobody had said
		wantKeys(t, ring2, append([]keys.RingKey{silent}, all...)...)
	})
}

// What cannot be done to a ring leaves every row as it was.
func TestRingRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		ring, all := filled(t, db.open())
		was, state := db.dump(), stateOf(t, ring)
		taken := keys.RingKey{Key: ringKey(t, 0).Key, SignsFrom: all[0].SignsFrom.Add(time.Second - 1)}
		tests := []struct {
			name  string
			err   error
			want  error
			words string
		}{
			{"the same key", ring.Add(keys.RingKey{Key: all[0].Key, SignsFrom: all[0].SignsFrom.Add(time.Hour)}),
				keys.ErrTaken, "es256-"},
			{"a key of that second", ring.Add(taken), keys.ErrTaken, keys.FileName(keys.ES256, all[0].SignsFrom)},
			{"the last of several is taken", ring.AddAll(ringKey(t, 5*time.Hour), ringKey(t, 6*time.Hour), taken), keys.ErrTaken, ""},
			{"one key twice", ring.AddAll(ringKeyOf(keystest.Key(keystest.ES256), 5*time.Hour),
				ringKeyOf(keystest.Key(keystest.ES256), 6*time.Hour)), keys.ErrTaken, ""},
			{"moved to where one is", ring.Move(all[2].Key.ID(), all[0].SignsFrom),
				keys.ErrTaken, keys.FileName(keys.ES256, all[0].SignsFrom)},
			{"nothing to move", ring.Move("nobody", all[0].SignsFrom), keys.ErrUnknownKID, `"nobody"`},
			{"nothing to remove", ring.Remove("nobody"), keys.ErrUnknownKID, `"nobody"`},
			{"moved to where it is", ring.Move(all[0].Key.ID(), all[0].SignsFrom.Add(time.Second-1)), nil, ""},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) { wantErr(t, tt.err, tt.want, tt.words) })
		}
		db.wantUnchanged(was)
		if now := stateOf(t, ring); now != state {
			t.Errorf("the state was %q and is %q", state, now)
		}
	})
}

// A key moves with its seal, and is gone when it is removed. Each is in the audit trail and changes the state.
func TestRingChanges(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		ring, all := filled(t, s)
		states := map[string]bool{stateOf(t, ring): true}
		all[0].SignsFrom = all[0].SignsFrom.Add(time.Hour)
		must(t, ring.Move(all[0].Key.ID(), all[0].SignsFrom.Add(time.Second-1))) // parts of a second are dropped
		wantKeys(t, ring, all...)
		states[stateOf(t, ring)] = true
		must(t, ring.Remove(all[1].Key.ID()))
		wantKeys(t, ring, all[0], all[2])
		states[stateOf(t, ring)] = true
		if len(states) != 3 {
			t.Errorf("two changes, and the states are %v", states)
		}
		var got []string
		for _, c := range trail(t, s, time.Time{}) {
			got = append(got, strings.Join([]string{string(c.Kind), c.Object, c.Event, c.Detail, c.Actor}, " "))
		}
		id := masterIDs(t, ring)[0]
		moved := keys.FileName(keys.ES256, all[0].SignsFrom)
		want := []string{
			"master_key " + id + " master_key.chosen  " + actor,
			"key " + all[0].Key.ID() + " key.added es256-20261123T121500Z.pem " + actor,
			"key " + all[1].Key.ID() + " key.added rs256-20261123T111500Z.pem " + actor,
			"key " + all[2].Key.ID() + " key.added es256-20261123T101500Z.pem " + actor,
			"key " + all[0].Key.ID() + " key.moved " + moved + " " + actor,
			"key " + all[1].Key.ID() + " key.removed  " + actor,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the audit trail, - want + got:\n%s", diff)
		}
	})
}

// Of several issuers that add a key for one second, exactly one does, and the others are told.
func TestRingRace(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		ring := newRing(t, db.open())
		const issuers, moments = 4, 5
		var others []store.Ring
		for range issuers {
			others = append(others, store.Ring{Store: db.open(), MasterKeys: ring.MasterKeys})
		}
		for moment := range moments {
			won := make(chan bool, issuers)
			for _, other := range others {
				key := ringKey(t, time.Duration(moment)*time.Hour)
				go func() {
					err := other.Add(key)
					if err != nil && !errors.Is(err, keys.ErrTaken) {
						t.Errorf("adding: %v", err)
					}
					won <- err == nil
				}()
			}
			winners := 0
			for range issuers {
				if <-won {
					winners++
				}
			}
			if winners != 1 {
				t.Errorf("moment %d: %d winners", moment, winners)
			}
		}
		if read, err := ring.Read(); err != nil || len(read.Keys()) != moments {
			t.Errorf("%v, %v", read, err)
		}
		if n := db.count("SELECT count(*) FROM signet_master_key"); n != 1 {
			t.Errorf("%d master keys were chosen", n)
		}
	})
}

// The lock lets one in at a time, in one issuer and in several, and whoever has it can use the database.
func TestRingLock(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		one, two := db.open(), db.open()
		ring, all := filled(t, one)
		const each = 6
		var inside, entered atomic.Int64
		var group sync.WaitGroup
		for i := range 2 * each {
			ring := store.Ring{Store: []*store.Store{one, two}[i%2], MasterKeys: ring.MasterKeys}
			group.Go(func() {
				unlock, err := ring.Lock()
				if err != nil {
					t.Errorf("locking: %v", err)
					return
				}
				defer unlock()
				if inside.Add(1) != 1 {
					t.Error("two have the lock")
				}
				if _, err := ring.Read(); err != nil {
					t.Errorf("reading under the lock: %v", err)
				}
				inside.Add(-1)
				entered.Add(1)
			})
		}
		group.Wait()
		if n := entered.Load(); n != 2*each {
			t.Errorf("%d of %d had the lock", n, 2*each)
		}
		wantKeys(t, ring, all...)
	})
}

// No octet of a private key or of a master key is in the database, or in an error.
func TestRingIsSealed(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		ring, all := filled(t, s)
		secrets := material(t, ring, all)
		before := ring.MasterKeys + ".before"
		must(t, copyFile(ring.MasterKeys, before))
		_, err := masterkey.Append(ring.MasterKeys)
		must(t, err)
		_, _, err = ring.RotateMaster()
		must(t, err)
		must(t, ring.Move(all[0].Key.ID(), all[0].SignsFrom.Add(time.Minute)))
		texts := map[string]string{}
		var sealed []byte
		must(t, db.hand().QueryRowContext(t.Context(), "SELECT sealed FROM signet_keys ORDER BY signs_from LIMIT 1").Scan(&sealed))
		texts["a sealed key"] = string(sealed)
		for table, lines := range db.dump() {
			texts[table] = strings.Join(lines, "\n")
		}
		_, err = store.Ring{Store: s, MasterKeys: before}.Read()
		wantErr(t, err, store.ErrMasterKey)
		texts["the error of the wrong master key"] = err.Error() + hintOf(err)
		db.exec("UPDATE signet_keys SET published_at = published_at + 1")
		_, err = ring.Read()
		wantErr(t, err, keys.ErrDamaged)
		texts["the error of damaged rows"] = err.Error() + hintOf(err)
		if db.isSQLite() {
			texts["the file"] = readFile(t, db.path())
			texts["the write-ahead log"] = readFile(t, db.path()+"-wal")
		}
		for where, text := range texts {
			for _, secret := range append(secrets, "PRIVATE KEY") {
				if bytes.Contains([]byte(text), []byte(secret)) {
					t.Errorf("%s has a secret in it", where)
				}
			}
		}
	})
}
