package cache_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"example.com/signet/issuer/internal/clients"
)

// Ids that no client can have never reach the database.
func TestImpossibleID(t *testing.T) {
	t.Parallel()
	rows := []struct{ name, id string }{
		{"nothing", ""},
		{"blank", " "},
		{"a blank behind it", "billing "},
		{"a line break behind it", "billing\n"},
		{"NUL behind it", "billing\x00"},
		{"colon", "billing:secret"},
		{"sign first", "-billing"},
		{"dot first", ".billing"},
		{"quote", "billing'--"},
		{"percent", "billing%00"},
		{"letter of another script", "bіlling"},
		{"not UTF-8", "billing\xff"},
		{"one octet too long", strings.Repeat("b", 129)},
		{"a megabyte", strings.Repeat("b", 1<<20)},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := open(t, named("billing", "it"), named(row.id, "impossible"))
			for range 2 {
				client, err := w.Client(t.Context(), row.id)
				wantErr(t, err, clients.ErrUnknownClient)
				if client != nil {
					t.Errorf("client %q", client.Name)
				}
			}
			w.asked(row.id, 0)
		})
	}
}

// What has been found is held: one that nobody has, too, and one that is disabled. What could not be told is not.
func TestHeld(t *testing.T) {
	t.Parallel()
	disabled := named("disabled", "off")
	disabled.Enabled = false
	w := open(t, named("billing", "it"), disabled, named(strings.Repeat("b", 128), "long"))
	for range 3 {
		w.wants("billing", "it", "disabled", "off", "nobody", unknown, strings.Repeat("b", 128), "long")
	}
	for _, id := range []string{"billing", "disabled", "nobody", strings.Repeat("b", 128)} {
		w.asked(id, 1)
	}
	if n := w.Len(); n != 3 {
		t.Errorf("%d clients are held", n)
	}
	client, err := w.Client(t.Context(), "disabled")
	if err != nil || client != disabled {
		t.Errorf("%v, %v", client, err)
	}
	_, err = w.Client(t.Context(), "nobody")
	wantErr(t, err, clients.ErrUnknownClient)
}

// A lookup that fails says why, and the next one asks again.
func TestLookupFails(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{errAway, fmt.Errorf("reading the client: %w", clients.ErrRecord)} {
		t.Run(cause.Error(), func(t *testing.T) {
			t.Parallel()
			w := open(t, named("billing", "it"), named("other", "other"))
			w.wants("other", "other")
			w.db.change(func() { w.db.noClients = cause })
			for range 2 {
				client, err := w.Client(t.Context(), "billing")
				if client != nil || !errors.Is(err, cause) || errors.Is(err, clients.ErrUnknownClient) {
					t.Errorf("%v, %v", client, err)
				}
			}
			w.wants("other", "other")
			w.db.change(func() { w.db.noClients = nil })
			w.wants("billing", "it")
			w.asked("billing", 3)
			w.asked("other", 1)
		})
	}
}

// Whatever changes is as it was until the next look, and as it is from then on. What did not change is not asked for
// again.
func TestFollowed(t *testing.T) {
	t.Parallel()
	disabled := named("billing", "disabled")
	disabled.Enabled = false
	rows := []struct {
		name          string
		before, after string
		has           bool // a client before
		change        func(*database)
	}{
		{"added", unknown, "new", false, func(d *database) { d.put(named("billing", "new")) }},
		{"deleted", "it", unknown, true, func(d *database) { d.remove("billing") }},
		{"disabled", "it", "disabled", true, func(d *database) { d.put(disabled) }},
		{"changed", "it", "new", true, func(d *database) { d.put(named("billing", "new")) }},
		{"changed twice", "it", "newer", true, func(d *database) { d.put(named("billing", "new"), named("billing", "newer")) }},
		{"deleted and added", "it", "new", true, func(d *database) { d.remove("billing"); d.put(named("billing", "new")) }},
		{"added and deleted", unknown, unknown, false, func(d *database) { d.put(named("billing", "new")); d.remove("billing") }},
		{"among others", "it", "new", true, func(d *database) {
			d.put(named("a", "a"), named("billing", "new"), named("b", "b"))
			d.putResource(newResource(orders))
		}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := open(t, named("other", "other"))
			if row.has {
				w.db.put(named("billing", "it"))
			}
			w.wants("billing", row.before, "other", "other", "nobody", unknown)
			row.change(w.db)
			w.wants("billing", row.before)
			w.asked("billing", 1)
			w.look(nil)
			w.wants("billing", row.after, "billing", row.after, "other", "other", "nobody", unknown)
			w.asked("billing", 2)
			w.asked("other", 1)
			w.asked("nobody", 1)
			w.look(nil)
			w.wants("billing", row.after)
			w.asked("billing", 2)
		})
	}
}

// When there is too much to name, or the database was put back to an earlier state, nothing that was held is trusted.
func TestAllIsDropped(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name     string
		change   func(*database)
		question []int64 // what was asked at start, at the look and at the next one
	}{
		{"too much to name", func(d *database) { d.changed, d.all = append(d.changed, "a"), true }, []int64{0, 2, 3}},
		{"put back", func(d *database) { d.changed = d.changed[:1] }, []int64{0, 2, 1}},
		{"put back to nothing", func(d *database) { d.changed = nil }, []int64{0, 2, 0}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := open(t, named("billing", "it"), named("other", "other"))
			w.wants("billing", "it", "other", "other", "nobody", unknown)
			w.db.change(func() { // none of which is named
				row.change(w.db)
				w.db.clients = map[string]*clients.Client{"billing": named("billing", "new"), "nobody": named("nobody", "somebody")}
				w.db.resources = map[string]*clients.Resource{"urn:new": newResource("urn:new")}
			})
			w.wants("billing", "it", "other", "other", "nobody", unknown)
			w.look(nil)
			if n := w.Len(); n != 0 {
				t.Errorf("%d clients are held", n)
			}
			w.wants("billing", "new", "other", unknown, "nobody", "somebody")
			if _, err := w.Resource(t.Context(), "urn:new"); err != nil || w.Resources().Len() != 1 {
				t.Errorf("%v, %d resources", err, w.Resources().Len())
			}
			w.look(nil)
			w.wants("billing", "new")
			w.asked("billing", 2)
			if got := w.db.looks(); !slices.Equal(got, row.question) {
				t.Errorf("asked what has changed since %d, want %d", got, row.question)
			}
		})
	}
}
