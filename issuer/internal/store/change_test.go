package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/store"
)

func trail(t *testing.T, s *store.Store, since time.Time) (all []store.Change) {
	t.Helper()
	must(t, s.Changes(t.Context(), since, func(c store.Change) error {
		all = append(all, c)
		return nil
	}))
	return all
}

// The audit trail says who did what to which, and when.
func TestChanges(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		ctx, s := t.Context(), db.open()
		db.seed(s)
		began := db.clock.Now()
		db.clock.Advance(time.Hour)
		other := db.open(func(cfg *store.Config) { cfg.Actor = "Bob (for O'Brien)@host" })
		must(t, other.ChangeClient(ctx, "billing", "client.disabled", func(c *clients.Client) (string, error) {
			c.Enabled = false
			return "why 'not'\n", nil
		}))
		must(t, other.ChangeResource(ctx, invoices, "resource.disabled", func(r *clients.Resource) error {
			r.Enabled = false
			return nil
		}))
		db.clock.Advance(time.Hour)
		must(t, s.DeleteClient(ctx, "billing"))
		must(t, s.DeleteResource(ctx, orders))
		change := func(revision int64, after time.Duration, actor string, kind store.Kind, object, event, detail string) store.Change {
			return store.Change{
				Revision: revision, At: began.Add(after), Actor: actor, Kind: kind, Object: object, Event: event, Detail: detail,
			}
		}
		want := []store.Change{
			change(1, 0, actor, store.KindResource, orders, "resource.added", ""),
			change(2, 0, actor, store.KindResource, invoices, "resource.added", ""),
			change(3, 0, actor, store.KindClient, "billing", "client.added", ""),
			change(4, time.Hour, "Bob (for O'Brien)@host", store.KindClient, "billing", "client.disabled", "why 'not'\n"),
			change(5, time.Hour, "Bob (for O'Brien)@host", store.KindResource, invoices, "resource.disabled", ""),
			change(6, 2*time.Hour, actor, store.KindClient, "billing", "client.deleted", ""),
			change(7, 2*time.Hour, actor, store.KindResource, orders, "resource.deleted", ""),
		}
		for since, first := range map[time.Duration]int{
			-time.Hour: 0, 0: 0, time.Second: 3, time.Hour: 3, 2 * time.Hour: 5, 3 * time.Hour: 7,
		} {
			if diff := cmp.Diff(want[first:], trail(t, s, began.Add(since)), cmp.Comparer(sameChanges)); diff != "" {
				t.Errorf("since %v, - want + got:\n%s", since, diff)
			}
		}
		if diff := cmp.Diff(want, trail(t, s, time.Time{})); diff != "" {
			t.Errorf("- want + got:\n%s", diff)
		}
	})
}

// sameChanges takes no change for none.
func sameChanges(a, b []store.Change) bool {
	return cmp.Equal(append([]store.Change{}, a...), append([]store.Change{}, b...))
}

// Who listens may stop; the error is his own.
func TestChangesStopped(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		db.seed(s)
		calls := 0
		err := s.Changes(t.Context(), time.Time{}, func(store.Change) error { calls++; return errOurs })
		wantErr(t, err, errOurs)
		if calls != 1 {
			t.Errorf("%d calls", calls)
		}
	})
}

// The actor who is not named is the user on this machine.
func TestDefaultActor(t *testing.T) {
	t.Setenv("SUDO_USER", "alice")
	db := newSQLite(t)
	s := db.open(func(cfg *store.Config) { cfg.Actor = "" })
	db.seed(s)
	who := trail(t, s, time.Time{})[0].Actor
	if who != store.DefaultActor() || !strings.Contains(who, " (for alice)@") || strings.HasPrefix(who, " ") {
		t.Errorf("the actor is %q", who)
	}
}

// Touched names what has changed since a revision, and nothing that changed before.
func TestTouched(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		ctx, s := t.Context(), db.open()
		want := func(since int64, want clients.Touched) {
			t.Helper()
			got, err := s.Touched(ctx, since)
			must(t, err)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("since %d, - want + got:\n%s", since, diff)
			}
		}
		want(0, clients.Touched{})
		want(1, clients.Touched{All: true}) // as after a restore of an earlier backup
		db.seed(s)
		must(t, s.AddClient(ctx, newClient("shop", orders)))
		want(0, clients.Touched{Revision: 4, Resources: true, Clients: []string{"billing", "shop"}})
		want(1, clients.Touched{Revision: 4, Resources: true, Clients: []string{"billing", "shop"}})
		want(2, clients.Touched{Revision: 4, Clients: []string{"billing", "shop"}})
		want(3, clients.Touched{Revision: 4, Clients: []string{"shop"}})
		want(4, clients.Touched{Revision: 4})
		want(5, clients.Touched{Revision: 4, All: true})
		must(t, s.DeleteClient(ctx, "billing"))
		want(4, clients.Touched{Revision: 5, Clients: []string{"billing"}})
	})
}

// A change of the signing keys is a revision too, and touches no client.
func TestTouchedByKey(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		must(t, newRing(t, s).Add(ringKey(t, 0)))
		got, err := s.Touched(t.Context(), 0)
		must(t, err)
		if diff := cmp.Diff(clients.Touched{Revision: 1}, got); diff != "" {
			t.Errorf("- want + got:\n%s", diff)
		}
	})
}

// Beyond a thousand changes it names none, and one fewer are all named.
func TestTouchedMany(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		for revision, n := range map[int64]int{2: 1000, 1: 1001} {
			db.exec("INSERT INTO signet_changes (revision, item, at, actor, kind, object, event, detail) WITH RECURSIVE n (i) AS "+
				"(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $2) SELECT $1, i, 0, '', 'client', 'client', '', '' FROM n", revision, n)
		}
		db.exec("UPDATE signet_revision SET n = 2")
		for since, want := range map[int64]int{0: -1, 1: 1000, 2: 0} {
			got, err := s.Touched(t.Context(), since)
			must(t, err)
			if got.Revision != 2 || got.All != (want < 0) || (want >= 0 && len(got.Clients) != want) {
				t.Errorf("since %d: %d clients, all %v, revision %d", since, len(got.Clients), got.All, got.Revision)
			}
		}
		db.exec("UPDATE signet_changes SET kind = 'key' WHERE revision = 1 AND item = 1")
		if got, err := s.Touched(t.Context(), 0); err != nil || !got.All {
			t.Errorf("2000 changes: %v, all %v", err, got.All)
		}
	})
}

// Whoever follows by asking for what has changed since the last answer misses no change, however many write meanwhile.
func TestFollow(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		ctx, s := t.Context(), db.open()
		must(t, s.AddResource(ctx, newResource(orders)))
		const writers, each = 3, 15
		failed := make(chan error, writers)
		for writer := range writers {
			mine := db.open()
			go func() {
				var err error
				for i := 0; i < each && err == nil; i++ {
					err = mine.AddClient(ctx, newClient(fmt.Sprintf("client-%d-%d", writer, i), orders))
				}
				failed <- err
			}()
		}
		seen := make(map[string]int)
		revision := int64(1)
		for ended := 0; ended <= writers; { // and once more when all have ended
			select {
			case err := <-failed:
				must(t, err)
				ended++
			default:
				if ended == writers {
					ended++
				}
			}
			touched, err := s.Touched(ctx, revision)
			must(t, err)
			if touched.All || touched.Revision != revision+int64(len(touched.Clients)) {
				t.Fatalf("after revision %d: %+v", revision, touched)
			}
			revision = touched.Revision
			for _, id := range touched.Clients {
				seen[id]++
				if _, err := s.Client(ctx, id); err != nil { // what is told is there to be read
					t.Errorf("client %s: %v", id, err)
				}
			}
		}
		if len(seen) != writers*each {
			t.Errorf("%d of %d changes", len(seen), writers*each)
		}
		for id, times := range seen {
			if times != 1 {
				t.Errorf("%s was told %d times", id, times)
			}
		}
	})
}
