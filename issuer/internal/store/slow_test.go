package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/store"
)

// A database each of whose answers comes 2 s late is slow and not away: it gives right answers, or says that it has none
// just now, and all is right when it is fast again.
func TestSlow(t *testing.T) {
	t.Parallel()
	db := newPostgres(t)
	p := newProxy(t, db)
	s := db.open(func(cfg *store.Config) { cfg.Connections = 8 }) // as usual: with fewer, some of those below wait for one for too long
	db.seed(s)
	ring, all := filled(t, s)
	until := db.clock.Now().Add(time.Hour)
	wantSpend(t, s, "billing", "before", until, true)
	p.delay.Store(int64(2 * time.Second))

	var mu sync.Mutex
	worked := make(map[string]int)
	failed := make(map[string]int)
	note := func(what string, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			worked[what]++
			return
		}
		failed[what]++
		if !errors.Is(err, store.ErrAway) {
			t.Errorf("%s: %v", what, err)
		}
	}
	has := func(what string) bool {
		mu.Lock()
		defer mu.Unlock()
		return worked[what] > 0
	}
	b := &book{accepted: make(map[string]int)}
	var group sync.WaitGroup
	for what, do := range map[string]func(i int) error{
		"Client": func(int) error {
			client, err := s.Client(t.Context(), "billing")
			if err == nil && client.ID != "billing" {
				t.Errorf("the client %q", client.ID)
			}
			return err
		},
		"Client, unknown": func(int) error {
			_, err := s.Client(t.Context(), "nobody")
			if errors.Is(err, clients.ErrUnknownClient) {
				return nil
			}
			return err
		},
		"Spend": func(i int) error {
			id := fmt.Sprint(i / 2) // each twice
			first, err := s.Spend(t.Context(), "billing", id, until)
			b.note(id, first, err)
			return err
		},
		"Spend, spent": func(int) error {
			first, err := s.Spend(t.Context(), "billing", "before", until)
			if first {
				t.Error("it was accepted again")
			}
			return err
		},
		"Touched": func(int) error {
			touched, err := s.Touched(t.Context(), 2)
			if err == nil && (len(touched.Clients) != 1 || touched.All) {
				t.Errorf("touched: %v", touched)
			}
			return err
		},
		"Read": func(int) error {
			read, err := ring.Read()
			if err == nil && len(read.Keys()) != len(all) {
				t.Errorf("the ring has %d keys", len(read.Keys()))
			}
			return err
		},
		"Resources": func(int) error {
			found, err := s.Resources(t.Context())
			if err == nil && len(found) != 2 {
				t.Errorf("%d resources", len(found))
			}
			return err
		},
	} {
		group.Go(func() {
			began := time.Now()
			for i := 0; time.Since(began) < 5*time.Second || !has(what) && time.Since(began) < 30*time.Second; i++ {
				note(what, do(i))
			}
		})
	}
	group.Wait()
	for _, what := range []string{"Client", "Client, unknown", "Spend", "Spend, spent", "Touched", "Read", "Resources"} {
		if worked[what] == 0 {
			t.Errorf("%s was away %d times, and never worked", what, failed[what])
		}
	}
	p.delay.Store(0)
	waitUntil(t, "it is fast", func() bool { return s.Check(t.Context()) == nil })
	wantClients(t, s, "billing")
	wantKeys(t, ring, all...)
	wantSpend(t, s, "billing", "after", until, true)
	b.wantOnce(t, []*store.Store{s}, until)
}

// Behind a network so slow that a request cannot wait for a connection and an answer too, the connection is there for the
// next request.
func TestSlowConnect(t *testing.T) {
	t.Parallel()
	db := newPostgres(t)
	p := newProxy(t, db)
	s := db.open()
	db.seed(s)
	p.delay.Store(int64(2 * time.Second))
	p.redirect(*p.target.Load()) // which ends all connections
	const tries = 5
	for try := 1; ; try++ {
		_, err := s.Client(t.Context(), "billing")
		if err == nil {
			return
		}
		wantErr(t, err, store.ErrAway)
		if try == tries {
			t.Fatalf("away %d times", tries)
		}
	}
}
