package store_test

import (
	"sync/atomic"
	"testing"
	"time"

	"example.com/signet/issuer/internal/store"
)

// An assertion that is presented again in its last moment, and expires on its way to the database, has been used all the
// same: what was live when it was asked for is judged by that moment.
func TestSpendThatExpiresOnItsWay(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		until := db.clock.Now().Add(time.Minute)
		wantSpend(t, db.open(), "billing", "once", until, true)
		var looks atomic.Int64
		late := db.open(func(cfg *store.Config) {
			cfg.Now = func() time.Time { // the first look is before the end, all others are behind it
				if looks.Add(1) == 1 {
					return until.Add(-time.Millisecond)
				}
				return until.Add(time.Second)
			}
		})
		wantSpend(t, late, "billing", "once", until, false)
		if looks.Load() == 0 {
			t.Error("nobody has looked at the clock")
		}
	})
}
