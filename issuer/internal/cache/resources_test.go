package cache_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/issuer/internal/cache"
	"example.com/signet/issuer/internal/clients"
)

var errUnfit = errors.New("no key signs RS256")

// serves sees that these are the resources that are served, whichever way one asks.
func (w *world) serves(want ...*clients.Resource) {
	w.t.Helper()
	got := w.Resources()
	if got.Len() != len(want) {
		w.t.Errorf("%d resources, want %d", got.Len(), len(want))
	}
	for _, resource := range want {
		one, err := w.Resource(w.t.Context(), resource.Audience)
		if err != nil {
			w.t.Errorf("resource %s: %v", resource.Audience, err)
			continue
		}
		if diff := cmp.Diff(resource, one); diff != "" {
			w.t.Errorf("resource %s, - want + got:\n%s", resource.Audience, diff)
		}
		if got.ByAudience()[resource.Audience] != one {
			w.t.Errorf("resource %s is another among all", resource.Audience)
		}
	}
	none, err := w.Resource(w.t.Context(), "urn:nowhere")
	if none != nil || !errors.Is(err, clients.ErrUnknownResource) {
		w.t.Errorf("an unknown resource: %v, %v", none, err)
	}
}

// Resources are as they were until the next look. They are read when one has changed, and not otherwise.
func TestResourcesAreFollowed(t *testing.T) {
	t.Parallel()
	w := open(t, named("billing", "it"))
	before, start := newResource(orders, "read"), w.clock.Now()
	w.serves(before)
	w.clock.Advance(time.Minute)
	w.db.put(named("billing", "new"))
	w.look(nil)
	if w.db.reads != 1 || w.fits != 1 || !w.Loaded().Equal(start) {
		t.Errorf("read %d times, checked %d times, loaded at %v", w.db.reads, w.fits, w.Loaded())
	}
	changed, added := newResource(orders, "read", "write"), newResource("urn:new")
	changed.Enabled = false
	w.db.putResource(changed)
	w.db.putResource(added)
	w.serves(before)
	w.look(nil)
	w.serves(changed, added)
	w.look(nil)
	if w.db.reads != 2 || w.fits != 2 || !w.Loaded().Equal(start.Add(time.Minute)) {
		t.Errorf("read %d times, checked %d times, loaded at %v", w.db.reads, w.fits, w.Loaded())
	}
	w.db.change(func() { delete(w.db.resources, orders); w.db.changed = append(w.db.changed, "") })
	w.look(nil)
	w.serves(added)
	w.wants("billing", "new") // to whom nothing was done
	w.asked("billing", 1)
}

// Resources that do not fit what the issuer has are not served. They are tried again at each look, for a key may come,
// and clients are followed meanwhile, for longer than what is held may serve when the database is away.
func TestUnfit(t *testing.T) {
	t.Parallel()
	w := open(t, named("billing", "it"))
	before, start := newResource(orders, "read"), w.clock.Now()
	w.wants("billing", "it")
	w.unfit = errUnfit
	after := newResource(orders, "read", "write")
	w.db.putResource(after)
	w.clock.Advance(time.Minute)
	for i := range 3 {
		name := fmt.Sprint("new", i)
		w.db.put(named("billing", name))
		w.look(errUnfit)
		w.wants("billing", name)
		w.serves(before)
		if w.fits != 2+i || !w.Loaded().Equal(start) {
			t.Errorf("checked %d times, loaded at %v", w.fits, w.Loaded())
		}
		w.clock.Advance(maxStale)
	}
	after = newResource(orders, "write")
	w.db.change(func() { w.db.resources[orders] = after }) // which is what is there when it is tried again
	w.unfit = nil
	w.look(nil)
	w.serves(after)
	if !w.Loaded().Equal(w.clock.Now()) {
		t.Errorf("loaded at %v, want %v", w.Loaded(), w.clock.Now())
	}
	checked := w.fits
	w.look(nil)
	if w.fits != checked {
		t.Error("what is served was tried again")
	}
}

// A resource that cannot be read is read again at the next look, though nothing has changed since.
func TestUnreadableResources(t *testing.T) {
	t.Parallel()
	w := open(t)
	after := newResource(orders, "read", "write")
	w.db.putResource(after)
	broken := fmt.Errorf("reading the resource: %w", clients.ErrRecord)
	for _, cause := range []error{errAway, broken} {
		w.db.change(func() { w.db.noReads = cause })
		w.look(cause)
		w.look(cause)
		w.serves(newResource(orders, "read"))
	}
	if w.fits != 1 {
		t.Errorf("checked %d times what could not be read", w.fits)
	}
	w.db.change(func() { w.db.noReads = nil })
	w.look(nil)
	w.serves(after)
}

// Trouble with resources is said once too, and goes with what is the matter.
func TestUnfitIsSaidOnce(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.unfit = errUnfit
	w.db.putResource(newResource(orders))
	for range 3 {
		w.look(errUnfit)
	}
	w.log.says(t, fmt.Sprintf(failed, errUnfit))
	w.db.away(errAway)
	w.look(errAway)
	w.log.says(t, fmt.Sprintf(failedFor, errAway, "5m0s"))
	w.db.away(nil)
	w.look(errUnfit)
	w.look(errUnfit)
	w.log.says(t, fmt.Sprintf(failed, errUnfit))
	w.unfit = nil
	w.look(nil)
	w.log.says(t, again)
}

func TestUnfitAtStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.unfit = errUnfit
	_, err := cache.Open(t.Context(), w.config())
	wantErr(t, err, errUnfit)
}

// A registry without resources is one: somebody has to begin.
func TestNoResources(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.db.resources = nil
	w.open()
	w.serves()
	w.db.change(func() { w.db.resources = map[string]*clients.Resource{} })
	w.db.putResource(newResource("urn:new"))
	w.look(nil)
	w.serves(newResource("urn:new"))
}
