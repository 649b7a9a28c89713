package store_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/issuer/internal/store"
)

func digestOf(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }

func hexOf(text string) string {
	d := digestOf(text)
	return hex.EncodeToString(d[:])
}

func wantUses(t *testing.T, s *store.Store, client string, want map[string]time.Time) {
	t.Helper()
	got, err := s.LastUses(t.Context(), client)
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("last uses of %s, - want + got:\n%s", client, diff)
	}
}

// The last use of each secret is the latest that any issuer has noted, in whatever order they write.
func TestUses(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		ctx, s := t.Context(), db.open()
		one, two := &store.Uses{Store: s}, &store.Uses{Store: db.open()}
		at := db.clock.Now()
		must(t, one.Flush(ctx)) // of nothing
		wantUses(t, s, "billing", map[string]time.Time{})
		one.Note("billing", digestOf("a"), at.Add(time.Minute))
		one.Note("billing", digestOf("a"), at) // a late one
		one.Note("billing", digestOf("b"), at)
		two.Note("billing", digestOf("b"), at.Add(time.Hour))
		two.Note("billing", digestOf("a"), at)
		two.Note("shop", digestOf("a"), at.Add(time.Second))
		wantUses(t, s, "billing", map[string]time.Time{}) // a token costs no write
		must(t, one.Flush(ctx))
		must(t, two.Flush(ctx))
		must(t, one.Flush(ctx))
		wantUses(t, s, "billing", map[string]time.Time{hexOf("a"): at.Add(time.Minute), hexOf("b"): at.Add(time.Hour)})
		wantUses(t, s, "shop", map[string]time.Time{hexOf("a"): at.Add(time.Second)})
		wantUses(t, s, "nobody", map[string]time.Time{})
		db.seed(s)
		must(t, s.DeleteClient(ctx, "billing"))
		wantUses(t, s, "billing", map[string]time.Time{})
	})
}

// What could not be written down is written later, and what came meanwhile is not undone by it.
func TestUsesKept(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		uses := &store.Uses{Store: s}
		at := db.clock.Now()
		uses.Note("billing", digestOf("a"), at)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		wantErr(t, uses.Flush(ended), store.ErrAway)
		uses.Note("billing", digestOf("b"), at.Add(time.Minute))
		must(t, uses.Flush(t.Context()))
		wantUses(t, s, "billing", map[string]time.Time{hexOf("a"): at, hexOf("b"): at.Add(time.Minute)})
	})
}

// When an issuer ends, it writes down what it has noted.
func TestUsesAtTheEnd(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		uses := &store.Uses{Store: s}
		uses.Note("billing", digestOf("a"), db.clock.Now())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		uses.Run(ctx)
		wantUses(t, s, "billing", map[string]time.Time{hexOf("a"): db.clock.Now()})
	})
}

// Issuers that write down the same uses wait for one another, and none gives up.
func TestUsesRace(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		const issuers, rounds, secrets = 4, 5, 120
		failed := make(chan error, issuers)
		for issuer := range issuers {
			uses := &store.Uses{Store: db.open()}
			go func() {
				var err error
				for round := 0; round < rounds && err == nil; round++ {
					for i := range secrets {
						at := db.clock.Now().Add(time.Duration(round*issuers+issuer) * time.Minute)
						uses.Note(fmt.Sprint("client-", i%40), digestOf(fmt.Sprint(i)), at)
					}
					err = uses.Flush(t.Context())
				}
				failed <- err
			}()
		}
		for range issuers {
			must(t, <-failed)
		}
		latest := db.clock.Now().Add((rounds*issuers - 1) * time.Minute).Unix()
		if n := db.count("SELECT count(*) FROM signet_secret_uses WHERE used_at = $1", latest); n != secrets {
			t.Errorf("%d of %d have the latest use", n, secrets)
		}
	})
}

// Whatever is noted while the database is away, no more is remembered than a bound, and what is known stays.
func TestUsesBounded(t *testing.T) {
	t.Parallel()
	uses := &store.Uses{}
	const most = 100_000
	for i := range most + 10 {
		uses.Note(fmt.Sprint("client-", i), digestOf("a"), time.Unix(1, 0))
	}
	if n := uses.Pending(); n != most {
		t.Errorf("%d are remembered", n)
	}
}

// What could not be written does not grow beyond the bound either, and a use that is known is brought up to date.
func TestUsesBoundedAway(t *testing.T) {
	t.Parallel()
	db := newSQLite(t)
	s := db.open()
	uses := &store.Uses{Store: s}
	for i := range 1000 {
		uses.Note(fmt.Sprint("client-", i), digestOf("a"), db.clock.Now())
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	wantErr(t, uses.Flush(ended), store.ErrAway)
	uses.Note("client-0", digestOf("a"), db.clock.Now().Add(time.Hour))
	wantErr(t, uses.Flush(ended), store.ErrAway)
	if n := uses.Pending(); n != 1000 {
		t.Errorf("%d are remembered", n)
	}
	must(t, uses.Flush(t.Context()))
	wantUses(t, s, "client-0", map[string]time.Time{hexOf("a"): db.clock.Now().Add(time.Hour)})
	wantUses(t, s, "client-999", map[string]time.Time{hexOf("a"): db.clock.Now()})
}
