package store_test

import (
	"testing"
	"time"

	"example.com/signet/issuer/internal/keeper"
	"example.com/signet/issuer/internal/store"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// When all keys of an algorithm are damaged and given up, new ones sign: an issuer that has the old ones in memory would
// follow no ring in which nobody does.
func TestRevokeAllThatIsDamagedOfAnAlgorithm(t *testing.T) {
	for name, revoke := range map[string]func(o keeper.Operator, kid string) error{
		"the key":  keeper.Operator.Revoke,
		"all keys": func(o keeper.Operator, _ string) error { return o.RevokeAll() },
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, db *database) {
				ring := newRing(t, db.open())
				lost, good := ringKey(t, -time.Hour), ringKeyOf(keystest.Key(keystest.RS256), -time.Hour) // before any of today
				must(t, ring.AddAll(lost, good))
				db.exec("UPDATE signet_keys SET sealed = substr(sealed, 1, 11) WHERE kid = '" + lost.Key.ID() + "'")
				o := keeper.Operator{Store: ring,
					Policy: keys.Policy{RotateEvery: 48 * time.Hour, PublishAhead: 24 * time.Hour, Retention: 2 * time.Hour}}
				must(t, revoke(o, lost.Key.ID()))
				read, err := store.Ring{Store: db.open(), MasterKeys: ring.MasterKeys}.Read()
				must(t, err)
				for _, alg := range keys.Algorithms() {
					key, err := read.Active(alg, time.Now())
					if err != nil || key.ID() == lost.Key.ID() {
						t.Errorf("%s: %v, %v", alg, key, err)
					}
					if o.Policy.SurveyOf(read, alg, time.Now()).Standby() == nil {
						t.Errorf("%s: no standby", alg)
					}
				}
			})
		})
	}
}
