package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/store"
	"example.com/signet/keys/keystest"
	"example.com/signet/keys/keystest/pgtest"
)

// method is one of a store's, with nothing of its answer but the error.
type method struct {
	name string
	do   func(context.Context) error
}

// asking are the methods that issuers wait for; each bounds the wait by itself.
func asking(s *store.Store, ring store.Ring, until time.Time) []method {
	uses := &store.Uses{Store: s}
	return []method{
		{"Check", s.Check},
		{"Client", func(ctx context.Context) error { _, err := s.Client(ctx, "billing"); return err }},
		{"Client, unknown", func(ctx context.Context) error {
			_, err := s.Client(ctx, "nobody")
			if errors.Is(err, clients.ErrUnknownClient) {
				return nil
			}
			return err
		}},
		{"Resources", func(ctx context.Context) error { _, err := s.Resources(ctx); return err }},
		{"Touched", func(ctx context.Context) error { _, err := s.Touched(ctx, 0); return err }},
		{"Spend", func(ctx context.Context) error {
			_, err := s.Spend(ctx, "billing", fmt.Sprint(serial.Add(1)), until)
			return err
		}},
		{"Flush", func(ctx context.Context) error { uses.Note("billing", digestOf("a"), until); return uses.Flush(ctx) }},
		{"Sweep", func(ctx context.Context) error { _, err := store.Sweeper{Store: s}.Sweep(ctx); return err }},
		{"Read", func(context.Context) error { _, err := ring.Read(); return err }},
		{"State", func(context.Context) error { _, err := ring.State(); return err }},
	}
}

// operating are the methods that people wait for, who end the wait when they like.
func operating(s *store.Store) []method {
	return []method{
		{"EachClient", func(ctx context.Context) error {
			return s.EachClient(ctx, func(*clients.Client) error { return nil })
		}},
		{"Clients", func(ctx context.Context) error { _, err := s.Clients(ctx); return err }},
		{"Changes", func(ctx context.Context) error {
			return s.Changes(ctx, time.Time{}, func(store.Change) error { return nil })
		}},
		{"LastUses", func(ctx context.Context) error { _, err := s.LastUses(ctx, "billing"); return err }},
		{"MasterKey", func(ctx context.Context) error { _, err := s.MasterKey(ctx); return err }},
		{"Migrations", func(ctx context.Context) error { _, err := s.Migrations(ctx); return err }},
		{"AddClient", func(ctx context.Context) error {
			return s.AddClient(ctx, newClient(fmt.Sprint("new-", serial.Add(1)), orders))
		}},
		{"ChangeClient", func(ctx context.Context) error {
			return s.ChangeClient(ctx, "billing", "client.renamed", func(c *clients.Client) (string, error) {
				c.Name = fmt.Sprint(serial.Add(1))
				return "", nil
			})
		}},
		{"AddResource", func(ctx context.Context) error {
			return s.AddResource(ctx, newResource(fmt.Sprintf("https://%d.example.com", serial.Add(1))))
		}},
		{"ChangeResource", func(ctx context.Context) error {
			return s.ChangeResource(ctx, invoices, "resource.changed", func(r *clients.Resource) error {
				r.Enabled = !r.Enabled
				return nil
			})
		}},
	}
}

var serial atomic.Int64

// changing are the changes of a ring.
func changing(t *testing.T, ring store.Ring, moved string) []method {
	return []method{
		{"Add", func(context.Context) error { return ring.Add(ringKey(t, time.Duration(100+serial.Add(1))*time.Hour)) }},
		{"Move", func(context.Context) error {
			return ring.Move(moved, keystest.NewClock().Now().Add(time.Duration(100+serial.Add(1))*time.Minute))
		}},
		{"RotateMaster", func(context.Context) error { _, _, err := ring.RotateMaster(); return err }},
		{"Lock", func(context.Context) error {
			unlock, err := ring.Lock()
			if err == nil {
				unlock()
			}
			return err
		}},
	}
}

// allAtOnce runs the methods at once and returns their errors.
func allAtOnce(ctx context.Context, all []method) []error {
	failed := make([]error, len(all))
	var group sync.WaitGroup
	for i, method := range all {
		group.Go(func() { failed[i] = method.do(ctx) })
	}
	group.Wait()
	return failed
}

func wantWork(t *testing.T, all []method) {
	t.Helper()
	for _, method := range all {
		if err := method.do(t.Context()); err != nil {
			t.Errorf("%s: %v", method.name, err)
		}
	}
}

// A database that does not answer is away, for everybody within his time, and works again by itself.
func TestPaused(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	db := newOn(t, server)
	s := db.open(func(cfg *store.Config) { cfg.Connections = 24 })
	db.seed(s)
	ring, _ := filled(t, s)
	quick, slow := asking(s, ring, db.clock.Now().Add(time.Hour)), operating(s)
	wantWork(t, append(quick, slow...))

	server.Pause()
	began := time.Now()
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	for i, err := range allAtOnce(short, slow) {
		t.Run(slow[i].name, func(t *testing.T) { wantErr(t, err, store.ErrAway) })
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("they took %v", took)
	}
	began = time.Now()
	for i, err := range allAtOnce(context.Background(), quick) {
		t.Run(quick[i].name, func(t *testing.T) { wantErr(t, err, store.ErrAway) })
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("those that issuers wait for took %v", took)
	}
	server.Resume()
	waitUntil(t, "it answers", func() bool { return s.Check(t.Context()) == nil })
	wantWork(t, append(quick, slow...))
}

// A server that is gone is away, at once and for all; when it is there again all goes on, by itself.
func TestGone(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	db := newOn(t, server)
	s := db.open()
	db.seed(s)
	ring, all := filled(t, s)
	methods := append(asking(s, ring, db.clock.Now().Add(time.Hour)), operating(s)...)
	methods = append(methods, changing(t, ring, all[0].Key.ID())...)
	wantWork(t, methods)
	before := recordsOf(t, clientsOf(t, s))
	for name, end := range map[string]func(){"stopped": server.Stop, "killed": server.Kill} {
		end()
		began := time.Now()
		for i, err := range allAtOnce(t.Context(), methods) {
			t.Run(name+", "+methods[i].name, func(t *testing.T) { wantErr(t, err, store.ErrAway) })
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%s: they took %v", name, took)
		}
		server.Restart()
		waitUntil(t, "it answers", func() bool { return s.Check(t.Context()) == nil })
		if after := recordsOf(t, clientsOf(t, s)); len(after) != len(before) {
			t.Errorf("%s: %d clients, and there were %d", name, len(after), len(before))
		}
		wantWork(t, methods)
		before = recordsOf(t, clientsOf(t, s))
	}
}

func clientsOf(t *testing.T, s *store.Store) (all []*clients.Client) {
	t.Helper()
	must(t, s.EachClient(t.Context(), func(c *clients.Client) error { all = append(all, c); return nil }))
	return all
}
