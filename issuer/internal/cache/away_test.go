package cache_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"example.com/signet/issuer/internal/cache"
	"example.com/signet/issuer/internal/clients"
)

const (
	failed    = `level=ERROR msg="following the registry failed; serving what is known of it" cause=%q`
	failedFor = failed + ` for_at_most=%s`
	again     = `level=INFO msg="following the registry again"`
)

// While the database is away, whatever is held serves as long as it may and not longer. When it is back all goes on, with
// what has changed meanwhile.
func TestAway(t *testing.T) {
	t.Parallel()
	w := open(t, named("billing", "it"), named("gone", "there"), named("other", "other"))
	held := []string{"billing", "it", "gone", "there", "nobody", unknown, "other", "other"}
	w.wants(held...)
	w.db.away(errAway)
	for _, after := range []time.Duration{0, time.Second, maxStale - time.Second} {
		w.clock.Advance(after - w.Age())
		w.look(errAway)
		if w.Age() != after {
			t.Errorf("age %v, want %v", w.Age(), after)
		}
		w.wants(held...)
		w.wants("new", errAway.Error(), "no id", unknown)
		w.serves(newResource(orders, "read"))
	}
	w.clock.Advance(time.Second)
	w.look(errAway)
	w.wants(held...)
	w.clock.Advance(time.Nanosecond)
	w.tooLong("billing", "gone", "nobody", "other", "new", "no id")
	w.look(errAway)
	w.tooLong("billing")
	w.clock.Advance(1000 * time.Hour)
	w.tooLong("billing")

	w.db.put(named("billing", "new"), named("nobody", "somebody"), named("new", "new"))
	w.db.remove("gone")
	w.db.putResource(newResource(orders, "read", "write"))
	w.tooLong("billing")
	w.db.away(nil)
	w.look(nil)
	w.wants("billing", "new", "gone", unknown, "nobody", "somebody", "other", "other", "new", "new")
	w.asked("other", 2) // the database may have been put back to an earlier state meanwhile
	w.serves(newResource(orders, "read", "write"))
	if w.Age() != 0 {
		t.Errorf("age %v", w.Age())
	}
}

// tooLong sees that nothing is said of these clients any more, or of a resource.
func (w *world) tooLong(ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		before := w.db.lookups(id)
		client, err := w.find(id)
		if client != nil || !errors.Is(err, cache.ErrStale) {
			w.t.Errorf("client %q: %v, %v", id, client, err)
		}
		w.asked(id, before)
	}
	for _, audience := range []string{orders, "urn:nowhere"} {
		resource, err := w.Resource(w.t.Context(), audience)
		if resource != nil || !errors.Is(err, cache.ErrStale) {
			w.t.Errorf("resource %q: %v, %v", audience, resource, err)
		}
	}
}

func TestStaleSaysForHowLong(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.clock.Advance(maxStale + 999*time.Millisecond)
	_, err := w.find("billing")
	if err == nil || err.Error() != "the database has been away for too long: for 5m0s" {
		t.Errorf("error %v", err)
	}
}

// What is known is as old as the question, not as its answer: what the answer does not have may have happened since.
func TestAgeIsThatOfTheQuestion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open(func(cfg *cache.Config) { cfg.Store = slow{w.db, func() { w.clock.Advance(7 * time.Second) }} })
	if w.Age() != 7*time.Second {
		t.Errorf("age %v", w.Age())
	}
	w.look(nil)
	if w.Age() != 7*time.Second {
		t.Errorf("age %v", w.Age())
	}
}

// slow is a database that takes its time to say what has changed.
type slow struct {
	*database
	wait func()
}

func (s slow) Touched(ctx context.Context, since int64) (clients.Touched, error) {
	touched, err := s.database.Touched(ctx, since)
	s.wait()
	return touched, err
}

// Why is said when it begins, when it becomes another, and that it is over; not at each look.
func TestTroubleIsSaidOnce(t *testing.T) {
	t.Parallel()
	w := open(t)
	other := errors.New("another cause")
	w.log.says(t)
	steps := []struct {
		name string
		err  error
		says []string
	}{
		{"there", nil, nil},
		{"away", errAway, []string{fmt.Sprintf(failedFor, errAway, "4m50s")}},
		{"still away", errAway, nil},
		{"away for another cause", other, []string{fmt.Sprintf(failedFor, other, "4m30s")}},
		{"still away for that", other, nil},
		{"as at first", errAway, []string{fmt.Sprintf(failedFor, errAway, "4m10s")}},
		{"back", nil, []string{again}},
		{"still there", nil, nil},
		{"away again", errAway, []string{fmt.Sprintf(failedFor, errAway, "4m50s")}},
		{"back again", nil, []string{again}},
	}
	for _, step := range steps {
		t.Log(step.name)
		w.clock.Advance(10 * time.Second)
		w.db.away(step.err)
		for range 3 {
			w.look(step.err)
		}
		w.log.says(t, step.says...)
	}
}

// Nothing is promised for a time that is over.
func TestTroubleThatCameTooLate(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.clock.Advance(2 * maxStale)
	w.db.away(errAway)
	w.look(errAway)
	w.log.says(t, fmt.Sprintf(failedFor, errAway, "0s"))
}

// A program that ends has no trouble to tell of.
func TestEndIsNoTrouble(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantErr(t, w.Look(ctx), context.Canceled)
	w.log.says(t)
}

// A database that is away at start is an error and no more: nothing is served that could be said to be.
func TestAwayAtStart(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		fail func(*database)
	}{
		{"what has changed", func(d *database) { d.noLooks = errAway }},
		{"resources", func(d *database) { d.noReads = errAway }},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.db.change(func() { row.fail(w.db) })
			opened, err := cache.Open(t.Context(), w.config())
			wantErr(t, err, errAway)
			if opened != nil {
				t.Error("there is a cache all the same")
			}
			w.log.says(t)
		})
	}
}
