package store_test

import (
	"testing"
	"time"

	"example.com/signet/issuer/internal/store"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest/pgtest"
)

// A standby can be read. What writes says that the database is away, and works when it is promoted.
func TestStandby(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	db := newOn(t, server)
	s := db.open()
	db.seed(s)
	ring, all := filled(t, s)
	until := db.clock.Now().Add(time.Hour)
	wantSpend(t, s, "billing", "before", until, true)
	server.WriteFile("standby.signal", "")
	server.Restart()

	waitUntil(t, "it is there again", func() bool { return s.Check(t.Context()) == nil })
	wantClients(t, s, "billing")
	wantKeys(t, ring, all...)
	wantClients(t, db.open(), "billing")           // which migrates where that is needed
	wantClients(t, db.open(unmigrated), "billing") // and this does not
	was := db.dump()
	for name, err := range writes(t, s, ring, all, until) {
		t.Run(name, func(t *testing.T) { wantErr(t, err, store.ErrAway) })
	}
	db.wantUnchanged(was)

	execSuper(t, server, "SELECT pg_promote()")
	for name, err := range writes(t, s, ring, all, until) {
		t.Run(name+", promoted", func(t *testing.T) { must(t, err) })
	}
	wantSpend(t, s, "billing", "before", until, false)
	wantSpend(t, s, "billing", "while away", until, false) // it was spent after the promotion
}

// writes does one of each kind of change, and returns what came of it.
func writes(t *testing.T, s *store.Store, ring store.Ring, all []keys.RingKey, until time.Time) map[string]error {
	ctx := t.Context()
	uses := &store.Uses{Store: s}
	uses.Note("billing", digestOf("a"), until)
	_, spending := s.Spend(ctx, "billing", "while away", until)
	_, sweeping := store.Sweeper{Store: s}.Sweep(ctx)
	return map[string]error{
		"adding a client":   s.AddClient(ctx, newClient("new", orders)),
		"deleting a client": s.DeleteClient(ctx, "billing"),
		"adding a resource": s.AddResource(ctx, newResource("https://new.example.com")),
		"spending":          spending,
		"sweeping":          sweeping,
		"uses":              uses.Flush(ctx),
		"adding a key":      ring.Add(ringKey(t, 9*time.Hour)),
		"moving a key":      ring.Move(all[0].Key.ID(), all[0].SignsFrom.Add(time.Minute)),
		"removing a key":    ring.Remove(all[1].Key.ID()),
	}
}
