package keeper_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/issuer/internal/keeper"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

func TestGenerate(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.dir = keys.Directory(filepath.Join(string(h.dir), "deep", "keys"))
	h.clock.Advance(time.Second / 2)
	first, err := h.operator().Generate(keys.ES256)
	h.must(err)
	if info, err := os.Stat(string(h.dir)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory: %v, %v", info, err)
	}
	h.pass(time.Hour)
	standby, err := h.operator().Generate(keys.ES256)
	h.must(err)
	want := map[string]string{
		"es256-20261123T101500Z.pem": first.Key.ID(),
		"es256-20261223T101500Z.pem": standby.Key.ID(),
	}
	h.wantFiles(want)
	if _, err := h.operator().Generate(keys.ES256); !errors.Is(err, keeper.ErrNothingMissing) {
		t.Errorf("the third: %v", err)
	}
	h.wantFiles(want)
	if _, err := h.operator().Generate(keys.RS256); err != nil {
		t.Errorf("another algorithm: %v", err)
	}
}

func TestGenerateWhenAllSignLater(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	later := h.add(keys.ES256, 10*day)
	made, err := h.operator().Generate(keys.ES256)
	h.must(err)
	h.wantFiles(map[string]string{h.name(keys.ES256, 10*day): later, h.name(keys.ES256, 0): made.Key.ID()})
}

func TestImport(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name   string
		there  []time.Duration // when keys sign from
		signAt time.Duration
	}{
		{"first", nil, 0},
		{"as the standby", []time.Duration{-10 * day}, 20 * day},
		{"as the standby, late", []time.Duration{-30 * day}, 30 * day},
		{"after the standby", []time.Duration{-10 * day, 20 * day}, 50 * day},
		{"after two standbys", []time.Duration{-10 * day, 20 * day, 25 * day}, 55 * day},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			want := make(map[string]string)
			for _, after := range row.there {
				want[h.name(keys.ES256, after)] = h.add(keys.ES256, after)
			}
			key := keystest.Key(keystest.ES256)
			imported, err := h.operator().Import(key)
			h.must(err)
			want[h.name(keys.ES256, row.signAt)] = key.ID()
			h.wantFiles(want)
			if imported.Key != key || keys.FileName(keys.ES256, imported.SignsFrom) != h.name(keys.ES256, row.signAt) {
				t.Errorf("got %+v", imported)
			}
			if _, err := h.operator().Import(key); !errors.Is(err, keys.ErrTaken) {
				t.Errorf("once more: %v", err)
			}
			h.wantFiles(want)
		})
	}
}

func TestImportOfAWeakKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.write("weak", keystest.PEM(keystest.WeakRSA), 0o600)
	if _, err := keys.ReadPrivateKey(h.path("weak")); !errors.Is(err, keys.ErrKey) {
		t.Errorf("got %v", err) // so that there is nothing to import
	}
}

func TestRotate(t *testing.T) {
	t.Parallel()
	h, active, standby := newPair(t)
	retired := h.add(keys.ES256, -40*day)
	other := h.add(keys.ES256, 50*day)
	name := h.name(keys.ES256, 20*day)
	h.publish(name, -day+time.Second) // a second short
	before := h.files()
	_, err := h.operator().Rotate(keys.ES256)
	want := "it is safe from 2026-11-23T10:15:01Z on; if a key is stolen: issuer keys revoke KID"
	if !errors.Is(err, keeper.ErrTooEarly) || hintOf(err) != want {
		t.Errorf("got %v, hint %q", err, hintOf(err))
	}
	h.wantFiles(before)

	k := h.open()
	h.look(k)
	h.pass(time.Second)
	rotated, err := h.operator().Rotate(keys.ES256)
	h.must(err)
	if rotated.Key.ID() != standby || !rotated.SignsFrom.Equal(h.clock.Now()) {
		t.Errorf("got %+v", rotated)
	}
	h.wantFiles(map[string]string{
		h.name(keys.ES256, 0):                   standby,
		h.name(keys.ES256, -10*day-time.Second): active,
		h.name(keys.ES256, -40*day-time.Second): retired,
		h.name(keys.ES256, +50*day-time.Second): other,
	})
	h.look(k)
	h.wantActive(k, keys.ES256, standby)
}

func TestRotateTwiceInASecond(t *testing.T) {
	t.Parallel()
	h, _, standby := newPair(t)
	next := h.add(keys.ES256, 50*day)
	_, err := h.operator().Rotate(keys.ES256)
	h.must(err)
	_, err = h.operator().Rotate(keys.ES256)
	h.must(err)
	files := h.files()
	if files[h.name(keys.ES256, 0)] != standby || files[h.name(keys.ES256, time.Second)] != next {
		t.Errorf("got %v", files)
	}
}

func TestRotateWithoutStandby(t *testing.T) {
	t.Parallel()
	h := newRing(t, keys.ES256)
	before := h.files()
	for _, alg := range keys.Algorithms() {
		_, err := h.operator().Rotate(alg)
		if !errors.Is(err, keeper.ErrNoStandby) || hintOf(err) != "make one: issuer keys generate --alg "+string(alg) {
			t.Errorf("got %v, hint %q", err, hintOf(err))
		}
	}
	h.wantFiles(before)
}

// A running keeper that looks only afterwards follows each revocation.
func TestRevoke(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name  string
		which time.Duration // the key that is revoked, by when it signs from
		want  []time.Duration
		signs time.Duration // the active key afterwards, by when it signed from before
	}{
		{"active", -10 * day, []time.Duration{-40 * day, 0, 30 * day}, 20 * day},
		{"standby", 20 * day, []time.Duration{-40 * day, -10 * day, 20 * day}, -10 * day},
		{"retired", -40 * day, []time.Duration{-10 * day, 20 * day}, -10 * day},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			kids := make(map[time.Duration]string)
			for _, after := range []time.Duration{-40 * day, -10 * day, 20 * day} {
				kids[after] = h.add(keys.ES256, after)
			}
			k := h.open()
			h.look(k)
			h.must(h.operator().Revoke(kids[row.which]))
			var names []string
			for _, after := range row.want {
				names = append(names, h.name(keys.ES256, after))
			}
			h.wantNames(names...)
			h.publishNew(kids)
			if slices.Contains(slices.Collect(maps.Values(h.files())), kids[row.which]) {
				t.Error("it is still there")
			}
			h.look(k)
			h.wantActive(k, keys.ES256, kids[row.signs])
			if diff := cmp.Diff(h.kids(h.open().Ring()), h.kids(k.Ring())); diff != "" {
				t.Errorf("the running keeper has others: %s", diff)
			}
		})
	}
}

// publishNew gives files of keys that are not known the time of the test's clock.
func (h *house) publishNew(known map[time.Duration]string) {
	h.t.Helper()
	for name, kid := range h.files() {
		if !slices.Contains(slices.Collect(maps.Values(known)), kid) {
			h.publish(name, 0)
		}
	}
}

func TestRevokeRefuses(t *testing.T) {
	t.Parallel()
	h := newRing(t, keys.ES256)
	before := h.files()
	only := before[h.name(keys.ES256, -10*day)]
	rows := []struct {
		name, kid string
		want      error
		hint      string
	}{
		{"the only key", only, keeper.ErrNoStandby,
			"make one first: issuer keys generate --alg ES256; or replace all: issuer keys revoke --all"},
		{"unknown", "nobody", keys.ErrUnknownKID, "issuer keys list shows the kids"},
		{"nothing", "", keys.ErrUnknownKID, "issuer keys list shows the kids"},
		{"a part of a kid", only[:10], keys.ErrUnknownKID, "issuer keys list shows the kids"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			err := h.operator().Revoke(row.kid)
			if !errors.Is(err, row.want) || hintOf(err) != row.hint {
				t.Errorf("got %v, hint %q", err, hintOf(err))
			}
			h.wantFiles(before)
		})
	}
	h.dir = keys.Directory(t.TempDir())
	if err := h.operator().Revoke(only); !errors.Is(err, keys.ErrNoKeys) {
		t.Errorf("no keys: %v", err)
	}
	if err := h.operator().RevokeAll(); !errors.Is(err, keys.ErrNoKeys) {
		t.Errorf("no keys: %v", err)
	}
}

// While all keys are replaced a keeper always has keys that sign, and ends with the new ones alone.
func TestRevokeAll(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, after := range []time.Duration{-40 * day, -10 * day, 20 * day} {
		h.add(keys.ES256, after)
	}
	h.add(keys.RS256, -10*day)
	k := h.open()
	h.look(k)
	old := h.files()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		for ctx.Err() == nil {
			_ = k.Look() // refuses what is half done
		}
	})
	all.Go(func() {
		for ctx.Err() == nil {
			for _, alg := range keys.Algorithms() {
				if _, err := k.Active(alg, h.clock.Now()); err != nil {
					t.Error(err)
				}
			}
		}
	})
	err := h.operator().RevokeAll()
	cancel()
	all.Wait()
	h.must(err)
	h.look(k)
	h.wantNames(h.name(keys.ES256, 0), h.name(keys.ES256, 30*day), h.name(keys.RS256, 0), h.name(keys.RS256, 30*day))
	for _, kid := range h.files() {
		if slices.Contains(slices.Collect(maps.Values(old)), kid) {
			t.Errorf("%s is still there", kid)
		}
	}
	if diff := cmp.Diff(h.kids(h.open().Ring()), h.kids(k.Ring())); diff != "" {
		t.Errorf("the running keeper has others: %s", diff)
	}
}

// Each change stopped after each of its steps: the ring loads, one key signs, it is never a revoked one once the
// change has taken hold, and doing it again ends it.
func TestStoppedBetweenSteps(t *testing.T) {
	t.Parallel()
	type step func(h *house)
	unfinished := step(func(h *house) { h.write(".unfinished-1", keystest.PEM(keystest.ES256)[:50], 0o600) })
	promote := step(func(h *house) { h.rename(h.name(keys.ES256, 20*day), h.name(keys.ES256, 0)) })
	remove := func(after time.Duration) step {
		return func(h *house) { h.must(os.Remove(h.path(h.name(keys.ES256, after)))) }
	}
	add := func(after time.Duration) step {
		return func(h *house) {
			text, err := newKey(h.t, keys.ES256).MarshalPEM()
			h.must(err)
			h.write(h.name(keys.ES256, after), text, 0o600)
		}
	}
	revokeActive := func(h *house, active, _ string) error { return h.operator().Revoke(active) }
	revokeAll := func(h *house, _, _ string) error { return h.operator().RevokeAll() }
	rows := []struct {
		name  string
		steps []step
		again func(h *house, active, standby string) error
		gone  func(active, standby string) []string
	}{
		{"make a standby", []step{unfinished, add(50 * day)}, nil, nil},
		{"rotate", []step{promote}, nil, nil},
		{"revoke the active key", []step{promote, remove(-10 * day), unfinished, add(30 * day)}, revokeActive,
			func(active, _ string) []string { return []string{active} }},
		{"revoke the standby", []step{remove(20 * day), unfinished, add(20 * day)}, nil, nil},
		{"revoke all", []step{unfinished, add(0), remove(-10 * day), remove(20 * day), unfinished, add(30 * day)}, revokeAll,
			func(active, standby string) []string { return []string{active, standby} }},
	}
	for _, row := range rows {
		for stop := range len(row.steps) + 1 {
			t.Run(row.name, func(t *testing.T) {
				t.Parallel()
				h, active, standby := newPair(t)
				running := h.open()
				for _, step := range row.steps[:stop] {
					step(h)
					_ = running.Look() // it may refuse what is half done, and never ends with nobody who signs
					if _, err := running.Active(keys.ES256, h.clock.Now()); err != nil {
						t.Errorf("the running keeper: %v", err)
					}
				}
				wantOneActive(t, h)
				if row.again == nil {
					return
				}
				h.pass(2 * time.Second) // so that nothing has to wait for the next second
				if err := row.again(h, active, standby); err != nil && !errors.Is(err, keys.ErrUnknownKID) {
					t.Errorf("again: %v", err)
				}
				wantOneActive(t, h)
				left := slices.Collect(maps.Values(h.files()))
				for _, kid := range row.gone(active, standby) {
					if slices.Contains(left, kid) {
						t.Errorf("%s is still there: %v", kid, h.files())
					}
				}
				h.look(h.open())
				h.look(running)
				if diff := cmp.Diff(h.kids(h.open().Ring()), h.kids(running.Ring())); diff != "" {
					t.Errorf("the running keeper has others: %s", diff)
				}
			})
		}
	}
}

// wantOneActive loads the ring as a keeper that starts, and as it is after its first look.
func wantOneActive(t *testing.T, h *house) {
	t.Helper()
	k := h.open()
	for range 2 {
		active := 0
		for _, key := range k.Survey()[0].Keys {
			if key.State == keys.Active {
				active++
			}
		}
		if active != 1 {
			t.Errorf("%d keys sign: %v", active, h.files())
		}
		h.look(k)
	}
}
