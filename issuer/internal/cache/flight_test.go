package cache_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"example.com/signet/issuer/internal/cache"
)

// All who ask for one client at once share one lookup, and each gets what it finds.
func TestOneFlight(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, id, want string
		fails          error
		again          int // lookups once one more has asked afterwards
	}{
		{"client", "billing", "it", nil, 1},
		{"nobody", "nobody", unknown, nil, 1},
		{"database away", "billing", errAway.Error(), errAway, 2},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := open(t, named("billing", "it"))
				w.db.change(func() { w.db.noClients = row.fails })
				release := w.db.hang()
				var got answers
				for range 20 {
					w.asking(t.Context(), row.id, &got)
				}
				synctest.Wait()
				if n := len(got.sorted()); n != 0 {
					t.Errorf("%d were answered before the database did", n)
				}
				release()
				synctest.Wait()
				if all := got.sorted(); !slices.Equal(all, slices.Repeat([]string{row.want}, 20)) {
					t.Errorf("%q", all)
				}
				w.asked(row.id, 1)
				w.wants(row.id, row.want)
				w.asked(row.id, row.again)
			})
		})
	}
}

// Who gives up does so at once, with its own reason, and takes nobody along: not even the one whose question it was.
func TestGivingUp(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"the first", "another"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := open(t, named("billing", "it"))
				release := w.db.hang()
				leaving, cancel := context.WithCancel(t.Context())
				late, cancelLate := context.WithTimeout(t.Context(), time.Second)
				defer cancelLate()
				order := []context.Context{leaving, late, t.Context()}
				if name == "another" {
					slices.Reverse(order)
				}
				var got answers
				for _, ctx := range order {
					w.asking(ctx, "billing", &got)
					synctest.Wait() // so that the first is the first
				}
				cancel()
				synctest.Wait()
				want := []string{"looking a client up: context canceled"}
				if all := got.sorted(); !slices.Equal(all, want) {
					t.Errorf("one has given up: %q", all)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				want = append(want, "looking a client up: context deadline exceeded")
				if all := got.sorted(); !slices.Equal(all, want) {
					t.Errorf("two have given up: %q", all)
				}
				release()
				synctest.Wait()
				if all := got.sorted(); !slices.Equal(all, append([]string{"it"}, want...)) {
					t.Errorf("the third: %q", all)
				}
				w.asked("billing", 1)
				w.db.change(func() {
					if w.db.abandoned != 0 {
						t.Error("the lookup ended with whoever began it")
					}
				})
				w.wants("billing", "it")
				w.asked("billing", 1)
			})
		})
	}
}

// The reason to give up can be told from that of the database.
func TestGivingUpSaysWhy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := open(t)
		release := w.db.hang()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := w.Client(ctx, "billing")
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != time.Second {
			t.Errorf("%v after %v", err, took)
		}
		release()
	})
}

const mostLookups = 32 // that wait for the database at once

// crowd lets so many ask at once, each for another client of its own: c0, c1 …
func (w *world) crowd(ctx context.Context, n int) *answers {
	var got answers
	for i := range n {
		w.asking(ctx, fmt.Sprint("c", i), &got)
	}
	synctest.Wait()
	return &got
}

// While the database hangs no more than so many wait for it. Whoever is held is served, and who cannot be is told so.
func TestBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := open(t, named("held", "held"), named("late", "late"))
		for i := range mostLookups {
			w.db.put(named(fmt.Sprint("c", i), "found"))
		}
		w.wants("held", "held", "nobody", unknown)
		release := w.db.hang()
		got := w.crowd(t.Context(), mostLookups)
		start := time.Now()
		for range 3 {
			client, err := w.find("late")
			if client != nil || !errors.Is(err, cache.ErrBusy) {
				t.Errorf("one more: %v, %v", client, err)
			}
			_, err = w.find("c0") // it would share a lookup, and yet it would wait
			wantErr(t, err, cache.ErrBusy)
			w.wants("held", "held", "nobody", unknown, "no id", unknown)
			if _, err := w.Resource(t.Context(), orders); err != nil {
				t.Error(err)
			}
			w.look(nil)
		}
		if took := time.Since(start); took != 0 || len(got.sorted()) != 0 {
			t.Errorf("after %v there are answers: %q", took, got.sorted())
		}
		release()
		synctest.Wait()
		if all := got.sorted(); !slices.Equal(all, slices.Repeat([]string{"found"}, mostLookups)) {
			t.Errorf("those who waited: %q", all)
		}
		w.asked("late", 0)
		w.wants("late", "late")
	})
}

// Whoever asks and goes away at once leaves a lookup behind, which counts until it ends: the database is not asked more at
// once, and there is no end of what waits for it, because of them.
func TestBusyThoughTheyLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := open(t)
		release := w.db.hang()
		for i := range 5 {
			ctx, cancel := context.WithCancel(t.Context())
			for j := range mostLookups {
				go w.Client(ctx, fmt.Sprintf("gone%d.%d", i, j)) //nolint:errcheck // it does not wait for an answer
			}
			synctest.Wait()
			cancel()
			synctest.Wait()
		}
		w.db.change(func() {
			if w.db.most != mostLookups {
				t.Errorf("%d lookups waited for the database at once, want %d", w.db.most, mostLookups)
			}
		})
		_, err := w.find("late")
		wantErr(t, err, cache.ErrBusy)
		release()
		synctest.Wait()
		w.wants("late", unknown)
	})
}

// What a lookup found before a change is not held after it: the look that saw the change could not drop it.
func TestChangedInFlight(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, before, after string
		change              func(*database)
	}{
		{"changed", "it", "new", func(d *database) { d.put(named("billing", "new")) }},
		{"deleted", "it", unknown, func(d *database) { d.remove("billing") }},
		{"added", unknown, "new", func(d *database) { d.put(named("billing", "new")) }},
		{"too much to name", "it", "new", func(d *database) {
			d.put(named("billing", "new"))
			d.change(func() { d.all = true })
		}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := open(t)
				if row.before != unknown {
					w.db.put(named("billing", row.before))
				}
				w.look(nil)
				release := w.db.hang()
				var got answers
				w.asking(t.Context(), "billing", &got)
				synctest.Wait()
				row.change(w.db)
				w.look(nil)
				release()
				synctest.Wait()
				if all := got.sorted(); len(all) != 1 { // what it gets is of when it asked, or newer
					t.Errorf("%q", all)
				}
				w.wants("billing", row.after, "billing", row.after)
				w.look(nil)
				w.wants("billing", row.after)
				w.asked("billing", 2)
			})
		})
	}
}

// Whoever asks after a look gets what there was at that look or later, and not what a lookup that is still on its way had
// found before.
func TestAskedAfterTheLook(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"named", "too much to name"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := open(t, named("billing", "it"))
				release := w.db.hang()
				var before, after answers
				w.asking(t.Context(), "billing", &before)
				synctest.Wait()
				disabled := named("billing", "disabled")
				disabled.Enabled = false
				w.db.put(disabled)
				w.db.change(func() { w.db.all = name != "named" })
				w.look(nil)
				for range 5 {
					w.asking(t.Context(), "billing", &after)
				}
				synctest.Wait()
				release()
				synctest.Wait()
				if all := after.sorted(); !slices.Equal(all, slices.Repeat([]string{"disabled"}, 5)) {
					t.Errorf("those who asked after the look got %q", all)
				}
				w.wants("billing", "disabled")
			})
		})
	}
}
