package store_test

import (
	"context"
	"testing"
	"time"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest/pgtest"
)

// A restart between two requests costs neither of them anything: connections that the server has ended are not used.
func TestRestartUnnoticed(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	db := newOn(t, server)
	s := db.open()
	db.seed(s)
	ring, _ := filled(t, s)
	methods := asking(s, ring, db.clock.Now().Add(time.Hour))
	for range 3 {
		for i, err := range allAtOnce(t.Context(), methods) { // so that there are several connections
			if err != nil {
				t.Errorf("%s: %v", methods[i].name, err)
			}
		}
		server.Restart()
	}
	wantWork(t, append(methods, operating(s)...))
}

// What is begun while the database hangs is either done when it answers again or said not to be.
func TestChangeInPause(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	db := newOn(t, server)
	s := db.open()
	db.seed(s)
	ring, all := filled(t, s)
	server.Pause()
	key := ringKey(t, 9*time.Hour)
	changes := []method{
		{"a client", func(ctx context.Context) error { return s.AddClient(ctx, newClient("new", orders)) }},
		{"a key", func(context.Context) error { return ring.Add(key) }},
		{"a lock", func(context.Context) error {
			unlock, err := ring.Lock()
			if err == nil {
				unlock()
			}
			return err
		}},
	}
	failed := make(chan []error, 1)
	go func() { failed <- allAtOnce(t.Context(), changes) }()
	select {
	case errs := <-failed:
		t.Errorf("with a database that hangs: %v", errs)
		failed <- errs
	case <-time.After(time.Second): // long enough for each to be under way
	}
	server.Resume()
	for i, err := range <-failed {
		if err != nil {
			t.Errorf("%s: %v", changes[i].name, err)
		}
	}
	wantClients(t, s, "billing", "new")
	wantKeys(t, ring, append([]keys.RingKey{key}, all...)...)
}
