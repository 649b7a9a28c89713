package keeper_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"example.com/signet/issuer/internal/keeper"
	"example.com/signet/keys"
)

// The key that signs is damaged and given up: the standby signs at once, to an issuer that had kept the key too.
func TestRevokeOfTheDamagedActiveKey(t *testing.T) {
	t.Parallel()
	for _, hasRetired := range []bool{false, true} { // it signs again, until the standby's time has come
		h, active, standby := newPair(t)
		want := standby
		if hasRetired {
			want = h.add(keys.ES256, -40*day)
		}
		h.damage()
		k := h.open()
		h.look(k)
		h.damage(active)
		wantDamage(t, k.Look(), active)
		h.must(h.operator().Revoke(active))
		for name, kid := range h.files() {
			if kid != want && kid != standby {
				h.publish(name, 0)
			}
		}
		h.look(k)
		h.wantActive(k, keys.ES256, want)
		h.wantActive(h.open(), keys.ES256, want)
		if slices.Contains(h.kids(k.Ring()), active) || k.Survey()[0].Standby() == nil {
			t.Errorf("the keys are %v", k.Ring().Keys())
		}
	}
}

// A second belongs to one key: where the damaged one has just begun to sign, the standby does from the next.
func TestRevokeOfAKeyDamagedInItsFirstSecond(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	active, standby := h.add(keys.ES256, 0), h.add(keys.ES256, 30*day)
	h.damage(active)
	h.must(h.operator().Revoke(active))
	h.clock.Advance(time.Second)
	h.damage()
	h.wantActive(h.open(), keys.ES256, standby)
}

// Whether anything is left to make or not, what was done is no failure.
func TestRevokeOfARetiredKeyBesideADamagedOne(t *testing.T) {
	t.Parallel()
	h, kids := newThree(t)
	older := h.add(keys.ES256, -70*day)
	h.damage(older)
	h.must(h.operator().Revoke(kids[-40*day]))
	left := slices.Sorted(maps.Values(h.files()))
	if !slices.Equal(left, slices.Sorted(slices.Values([]string{older, kids[-10*day], kids[20*day]}))) {
		t.Errorf("left are %v", left)
	}
}

// Where all keys were damaged nobody knows of which algorithm they were, and the operator has to say.
func TestRevokeLeavesNoKeys(t *testing.T) {
	t.Parallel()
	rows := map[string]func(o keeper.Operator, kid string) error{
		"revoke":     func(o keeper.Operator, kid string) error { return o.Revoke(kid) },
		"revoke all": func(o keeper.Operator, _ string) error { return o.RevokeAll() },
	}
	for name, revoke := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			kid := h.add(keys.ES256, -10*day)
			h.damage()
			k := h.open()
			h.damage(kid)
			err := revoke(h.operator(), kid)
			if !errors.Is(err, keys.ErrNoKeys) || hintOf(err) != "make new ones at once: issuer keys generate --alg ES256, or RS256, or both" {
				t.Errorf("got %v, hint %q", err, hintOf(err))
			}
			made, err := h.operator().Generate(keys.ES256)
			h.must(err)
			h.look(k)
			h.wantActive(k, keys.ES256, made.Key.ID())
		})
	}
}

// counted counts the keys that are to be added.
type counted struct {
	*damaged
	added int
}

func (c *counted) Add(k keys.RingKey) error {
	c.added++
	return c.damaged.Add(k)
}

// A damaged standby is in the way of the next one. No key is made in vain, again and again.
func TestDamagedStandbyCostsNoKeys(t *testing.T) {
	t.Parallel()
	h, active, standby := newPair(t)
	h.damage(standby)
	counted := &counted{damaged: h.bad}
	cfg := h.config()
	cfg.Store = counted
	k, err := keeper.Open(cfg)
	h.must(err)
	for range 5 {
		wantDamage(t, k.Look(), standby)
		h.pass(time.Second)
	}
	if counted.added > 1 {
		t.Errorf("%d keys were made in vain", counted.added)
	}
	h.pass(20 * day) // the moment has passed without a standby: the next one is made for the period after it
	wantDamage(t, k.Look(), standby)
	h.wantActive(k, keys.ES256, active)
	if next := k.Survey()[0].Standby(); next == nil || next.SignsFrom.Before(h.clock.Now()) {
		t.Errorf("the standby is %v", next)
	}
	h.must(h.operator().Revoke(standby))
	h.look(k)
}
