package store_test

import (
	"context"
	"testing"
	"time"

	"example.com/signet/issuer/internal/store"
	"example.com/signet/keys/keystest/pgtest"
)

// listen runs a listener until the test ends; heard has room for whoever is slow.
func listen(t *testing.T, s *store.Store) (heard chan struct{}) {
	t.Helper()
	heard = make(chan struct{}, 1000)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		store.Listener{Store: s}.Run(ctx, func() { heard <- struct{}{} })
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return heard
}

// wantHeard sees that something is heard in time.
func wantHeard(t *testing.T, heard <-chan struct{}, in time.Duration, what string) {
	t.Helper()
	select {
	case <-heard:
	case <-time.After(in):
		t.Errorf("%s is not heard", what)
	}
}

func drain(heard <-chan struct{}) {
	for len(heard) > 0 {
		<-heard
	}
}

// A change that another issuer makes is heard within a second, and one that is not made is not.
func TestListen(t *testing.T) {
	t.Parallel()
	db := newPostgres(t)
	one, two := db.open(), db.open()
	heard := listen(t, one)
	wantHeard(t, heard, 10*time.Second, "the beginning")
	ring := newRing(t, two)
	key := ringKey(t, 0)
	for _, change := range []struct {
		what string
		do   func() error
	}{
		{"a resource", func() error { return two.AddResource(t.Context(), newResource(orders)) }},
		{"a client", func() error { return two.AddClient(t.Context(), newClient("billing", orders)) }},
		{"a registry", func() error { return two.Apply(t.Context(), manyClients(t, db, 10, "a"), store.ApplyOptions{}) }},
		{"a key", func() error { return ring.Add(key) }},
		{"a key that is gone", func() error { return ring.Remove(key.Key.ID()) }},
	} {
		must(t, change.do())
		wantHeard(t, heard, time.Second, change.what)
		drain(heard)
	}
	wantErr(t, two.AddResource(t.Context(), newResource(orders)), store.ErrExists)
	must(t, two.Apply(t.Context(), manyClients(t, db, 20, "b"), store.ApplyOptions{DryRun: true}))
	spend(t, two, "billing", "a", db.clock.Now().Add(time.Hour))
	select {
	case <-heard:
		t.Error("something was heard, and nothing was changed")
	case <-time.After(200 * time.Millisecond):
	}
}

// After the server was away it listens again, and says so, for what may have been missed.
func TestListenAgain(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	db := newOn(t, server)
	s := db.open()
	heard := listen(t, s)
	wantHeard(t, heard, 10*time.Second, "the beginning")
	for name, end := range map[string]func(){"stop": server.Stop, "kill": server.Kill} {
		drain(heard)
		end()
		server.Restart()
		wantHeard(t, heard, 15*time.Second, "the time after the "+name)
		waitUntil(t, "it answers", func() bool { return s.Check(t.Context()) == nil })
		drain(heard)
		must(t, s.AddResource(t.Context(), newResource("https://"+name+".example.com")))
		wantHeard(t, heard, time.Second, "a change after the "+name)
	}
}

// Who shares a file finds changes by looking, and the listener only waits for its end.
func TestListenSQLite(t *testing.T) {
	t.Parallel()
	db := newSQLite(t)
	heard := listen(t, db.open())
	db.seed(db.open())
	if len(heard) != 0 {
		t.Error("something was heard")
	}
}
