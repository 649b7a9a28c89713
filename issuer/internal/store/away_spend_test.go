package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"example.com/signet/issuer/internal/store"
	"example.com/signet/keys/keystest/pgtest"
)

// book is what came of ids: how often each was accepted.
type book struct {
	mu       sync.Mutex
	accepted map[string]int // guarded by mu
	failed   int            // guarded by mu
	wrong    []error        // guarded by mu: neither away nor busy
}

func (b *book) note(id string, first bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err == nil && first:
		b.accepted[id]++
	case err != nil && (first || !errors.Is(err, store.ErrAway) && !errors.Is(err, store.ErrBusy)):
		b.wrong = append(b.wrong, err)
	case err != nil:
		b.failed++
	}
}

func (b *book) count() (accepted, failed int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.accepted), b.failed
}

// spendAll has several issuers use the same ids, over and over, until stop is closed.
func (b *book) spendAll(t *testing.T, issuers []*store.Store, until time.Time, stop <-chan struct{}) (wait func()) {
	var group sync.WaitGroup
	for i := range 8 {
		s := issuers[i%len(issuers)]
		group.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprint(n % 3000) // which others come to at other times
				first, err := s.Spend(t.Context(), "billing", id, until)
				b.note(id, first, err)
			}
		})
	}
	return group.Wait
}

// However a database is killed while ids are spent, none is accepted twice, and all goes on when it is there again.
func TestSpendKilled(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	db := newOn(t, server)
	issuers := []*store.Store{db.open(), db.open()}
	until := db.clock.Now().Add(time.Hour)
	b := &book{accepted: make(map[string]int)}
	stop := make(chan struct{})
	wait := b.spendAll(t, issuers, until, stop)
	for round, end := range []func(){server.Kill, server.Stop, server.Kill} {
		had, _ := b.count()
		waitUntil(t, "ids are accepted", func() bool { n, _ := b.count(); return n > had })
		_, failed := b.count()
		end()
		waitUntil(t, "the database is away", func() bool { _, n := b.count(); return n > failed })
		server.Restart()
		for i, s := range issuers {
			waitUntil(t, "the next id is accepted", func() bool {
				id := fmt.Sprintf("%d-%d-%d", round, i, serial.Add(1))
				first, err := s.Spend(t.Context(), "billing", id, until)
				b.note(id, first, err)
				return first
			})
		}
	}
	close(stop)
	wait()
	b.wantOnce(t, issuers, until)
}

// wantOnce sees that each id was accepted once at most, and is spent for good.
func (b *book) wantOnce(t *testing.T, issuers []*store.Store, until time.Time) {
	t.Helper()
	if len(b.wrong) > 0 {
		t.Errorf("%d wrong errors, such as %v", len(b.wrong), b.wrong[0])
	}
	for id, times := range b.accepted {
		if times != 1 {
			t.Errorf("%s was accepted %d times", id, times)
		}
	}
	for id := range b.accepted {
		wantSpend(t, issuers[0], "billing", id, until, false)
		if t.Failed() {
			return
		}
	}
}

// The one round trip that an assertion costs is the only one, and those that come meanwhile share the next.
func TestSpendTrips(t *testing.T) {
	t.Parallel()
	db := newPostgres(t)
	p := newProxy(t, db)
	s := db.open()
	until := db.clock.Now().Add(time.Hour)
	wantSpend(t, s, "billing", "before", until, true)
	before := p.trips.Load()
	wantSpend(t, s, "billing", "a", until, true)
	if n := p.trips.Load() - before; n != 1 {
		t.Errorf("%d round trips for one", n)
	}
	<-time.After(1100 * time.Millisecond) // the driver's own clock asks after such a connection's health first
	before = p.trips.Load()
	wantSpend(t, s, "billing", "b", until, true)
	if n := p.trips.Load() - before; n != 1 {
		t.Errorf("%d round trips for one, after a pause", n)
	}
	before = p.trips.Load()
	p.delay.Store(int64(50 * time.Millisecond)) // so that all come meanwhile
	const many = 64
	if n := firsts(many, func(i int) bool { return spend(t, s, "billing", fmt.Sprint(i), until) }); n != many {
		t.Errorf("%d of %d were accepted", n, many)
	}
	if n := p.trips.Load() - before; n > 6 {
		t.Errorf("%d round trips for %d", n, many)
	}
}
