package keeper_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/signet/issuer/internal/keeper"
	"example.com/signet/keys"
)

// damaged is a directory some keys of which cannot be read, as if a hand had changed their rows in a database: they take
// their place, and can be removed.
type damaged struct {
	keys.Directory

	mu   sync.Mutex
	kids []string // guarded by mu
}

var _ keeper.Store = (*damaged)(nil)

// damage makes those keys unreadable, and those alone, for keepers and operators that are made from now on or have been
// since it was first called.
func (h *house) damage(kids ...string) {
	if h.bad == nil {
		h.bad = &damaged{Directory: h.dir}
	}
	h.bad.mu.Lock()
	defer h.bad.mu.Unlock()
	h.bad.kids = kids
}

func (d *damaged) is(kid string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Contains(d.kids, kid)
}

func (d *damaged) State() (string, error) {
	state, err := d.Directory.State()
	d.mu.Lock()
	defer d.mu.Unlock()
	return state + strings.Join(d.kids, " "), err
}

func (d *damaged) Read() (*keys.Ring, error) {
	ring, err := d.Directory.Read()
	if err != nil {
		return nil, err
	}
	var good []keys.RingKey
	var kids []string
	var causes []error
	for _, key := range ring.Keys() {
		kid := key.Key.ID()
		if d.is(kid) {
			kids = append(kids, kid)
			causes = append(causes, fmt.Errorf("row %q: %w", kid, errSeal))
			continue
		}
		good = append(good, key)
	}
	if len(kids) == 0 {
		return ring, nil
	}
	damage := &keys.DamagedError{KeyIDs: kids, Cause: errors.Join(causes...)}
	if ring, err = keys.NewRing(good...); err != nil {
		return nil, errors.Join(damage, err)
	}
	return ring, damage
}

var errSeal = errors.New("the seal does not fit")

func (d *damaged) Move(kid string, signsFrom time.Time) error {
	if d.is(kid) {
		return fmt.Errorf("moving %s: %w", kid, keys.ErrDamaged)
	}
	return d.Directory.Move(kid, signsFrom)
}

func (d *damaged) Remove(kid string) error {
	if err := d.Directory.Remove(kid); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kids = slices.DeleteFunc(slices.Clone(d.kids), func(other string) bool { return other == kid })
	return nil
}
