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

// What an operator wishes of a ring with a damaged key has to wait until the key is restored or given up.
func TestOperatorRefusesWithDamage(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		do   func(keeper.Operator) error
	}{
		{"generate", func(o keeper.Operator) error { _, err := o.Generate(keys.ES256); return err }},
		{"generate the first of an algorithm", func(o keeper.Operator) error { _, err := o.Generate(keys.RS256); return err }},
		{"import", func(o keeper.Operator) error { _, err := o.Import(newKey(t, keys.ES256)); return err }},
		{"rotate", func(o keeper.Operator) error { _, err := o.Rotate(keys.ES256); return err }},
	}
	for _, row := range rows {
		for _, which := range [][]time.Duration{{-40 * day}, {-10 * day}, {20 * day}, {-40 * day, -10 * day, 20 * day}} {
			t.Run(row.name, func(t *testing.T) {
				t.Parallel()
				h, kids := newThree(t)
				var bad []string
				for _, after := range which {
					bad = append(bad, kids[after])
				}
				h.damage(bad...)
				before := h.files()
				wantDamage(t, row.do(h.operator()), bad...)
				h.wantFiles(before)
			})
		}
	}
}

// A damaged key is given up by its kid. A keeper that had kept it follows, and makes the standby that is missing.
func TestRevokeOfADamagedKey(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name  string
		which time.Duration
		want  []time.Duration // when keys sign from afterwards
		alone bool            // whether the keeper starts with the damage
	}{
		{"retired", -40 * day, []time.Duration{-10 * day, 20 * day}, false},
		{"standby", 20 * day, []time.Duration{-40 * day, -10 * day, 20 * day}, false},
		{"retired, to an issuer that never knew it", -40 * day, []time.Duration{-10 * day, 20 * day}, true},
		{"standby, to an issuer that never knew it", 20 * day, []time.Duration{-40 * day, -10 * day, 20 * day}, true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			h, kids := newThree(t)
			h.damage()
			if row.alone {
				h.damage(kids[row.which])
			}
			k := h.open()
			_ = k.Look()
			h.damage(kids[row.which])
			wantDamage(t, k.Look(), kids[row.which])
			h.must(h.operator().Revoke(kids[row.which]))
			h.look(k)
			var names []string
			for _, after := range row.want {
				names = append(names, h.name(keys.ES256, after))
			}
			h.wantNames(names...)
			left := slices.AppendSeq(h.kids(k.Ring()), maps.Values(h.files()))
			if slices.Contains(left, kids[row.which]) {
				t.Error("it is still there")
			}
			h.wantActive(k, keys.ES256, kids[-10*day])
			if err := h.operator().Revoke(kids[row.which]); !errors.Is(err, keys.ErrUnknownKID) {
				t.Errorf("again: %v", err)
			}
		})
	}
}

// A good key is revoked although another is damaged, which stays.
func TestRevokeBesideADamagedKey(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name       string
		bad, which time.Duration
		signs      time.Duration // the key that does afterwards, by when it signed from before
	}{
		{"active, beside a damaged retired key", -40 * day, -10 * day, 20 * day},
		{"standby, beside a damaged retired key", -40 * day, 20 * day, -10 * day},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			h, kids := newThree(t)
			h.damage(kids[row.bad])
			h.must(h.operator().Revoke(kids[row.which]))
			left := slices.Collect(maps.Values(h.files()))
			if slices.Contains(left, kids[row.which]) || !slices.Contains(left, kids[row.bad]) || len(left) != 3 {
				t.Errorf("left are %v", h.files())
			}
			k := h.open()
			h.wantActive(k, keys.ES256, kids[row.signs])
			if k.Survey()[0].Standby() == nil {
				t.Error("no standby")
			}
			wantDamage(t, k.Trouble(), kids[row.bad])
		})
	}
	t.Run("active, and its standby is damaged", func(t *testing.T) {
		t.Parallel()
		h, kids := newThree(t)
		h.damage(kids[20*day])
		before := h.files()
		if err := h.operator().Revoke(kids[-10*day]); !errors.Is(err, keeper.ErrNoStandby) {
			t.Errorf("got %v", err)
		}
		h.wantFiles(before)
	})
	t.Run("nobody's", func(t *testing.T) {
		t.Parallel()
		h, kids := newThree(t)
		h.damage(kids[20*day])
		before := h.files()
		if err := h.operator().Revoke("nobody"); !errors.Is(err, keys.ErrUnknownKID) {
			t.Errorf("got %v", err)
		}
		h.wantFiles(before)
	})
}

// All are replaced, damaged ones too, and an issuer that kept them has the new ones.
func TestRevokeAllWithDamage(t *testing.T) {
	t.Parallel()
	for _, which := range []time.Duration{-40 * day, -10 * day, 20 * day} {
		t.Run("signs from "+which.String(), func(t *testing.T) {
			t.Parallel()
			h, kids := newThree(t)
			h.add(keys.RS256, -10*day)
			h.damage()
			k := h.open()
			h.look(k)
			old := slices.Collect(maps.Values(h.files()))
			h.damage(kids[which])
			wantDamage(t, k.Look(), kids[which])
			h.must(h.operator().RevokeAll())
			h.look(k)
			h.wantNames(h.name(keys.ES256, 0), h.name(keys.ES256, 30*day), h.name(keys.RS256, 0), h.name(keys.RS256, 30*day))
			for _, kid := range append(slices.Collect(maps.Values(h.files())), h.kids(k.Ring())...) {
				if slices.Contains(old, kid) {
					t.Errorf("%s is still there", kid)
				}
			}
		})
	}
}
