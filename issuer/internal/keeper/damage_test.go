package keeper_test

import (
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/issuer/internal/keeper"
	"example.com/signet/keys"
)

// newThree returns a house with ES256 keys that signed until ten days ago, sign, and will sign, by when they sign from.
func newThree(t *testing.T) (h *house, kids map[time.Duration]string) {
	t.Helper()
	h, kids = newHouse(t), make(map[time.Duration]string)
	for _, after := range []time.Duration{-40 * day, -10 * day, 20 * day} {
		kids[after] = h.add(keys.ES256, after)
	}
	return h, kids
}

// wantDamage checks that err names those keys as damaged, and says what to do about the first.
func wantDamage(t *testing.T, err error, kids ...string) {
	t.Helper()
	var damaged *keys.DamagedError
	if !errors.As(err, &damaged) || !errors.Is(err, keys.ErrDamaged) || !errors.Is(err, errSeal) {
		t.Fatalf("got %v, want a damaged key", err)
	}
	if !slices.Equal(slices.Sorted(slices.Values(damaged.KeyIDs)), slices.Sorted(slices.Values(kids))) {
		t.Errorf("damaged are %v, want %v", damaged.KeyIDs, kids)
	}
	want := "restore the key from a backup, or give it up: issuer keys revoke -- " + damaged.KeyIDs[0]
	if hintOf(err) != want {
		t.Errorf("hint %q, want %q", hintOf(err), want)
	}
}

// errorsOf are the messages of the log's errors, since it was last asked.
func (h *house) errorsOf() (messages []string) {
	h.t.Helper()
	for _, entry := range h.log.take(h.t) {
		if entry["level"] == slog.LevelError.String() {
			messages = append(messages, entry["msg"].(string))
		}
	}
	return messages
}

// An issuer that starts serves the keys that are good, and says of the others once that they are not.
func TestOpenServesTheGoodKeys(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name  string
		bad   []time.Duration
		signs time.Duration // the key that does
	}{
		{"retired", []time.Duration{-40 * day}, -10 * day},
		{"standby", []time.Duration{20 * day}, -10 * day},
		{"active: the one before signs", []time.Duration{-10 * day}, -40 * day},
		{"all but one", []time.Duration{-40 * day, 20 * day}, -10 * day},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			h, kids := newThree(t)
			var bad []string
			for _, after := range row.bad {
				bad = append(bad, kids[after])
			}
			before := h.files()
			h.damage(bad...)
			k := h.open()
			wantDamage(t, k.Trouble(), bad...)
			for range 3 {
				wantDamage(t, k.Look(), bad...)
				wantDamage(t, k.Trouble(), bad...)
				h.wantActive(k, keys.ES256, kids[row.signs])
			}
			for _, kid := range h.kids(k.Ring()) {
				if slices.Contains(bad, kid) {
					t.Errorf("%s is published", kid)
				}
			}
			if diff := cmp.Diff([]string{"a key is damaged; serving the others"}, h.errorsOf()); diff != "" {
				t.Errorf("the log's errors, - want + got:\n%s", diff)
			}
			h.wantFiles(before)

			h.damage()
			h.look(k)
			h.wantActive(k, keys.ES256, kids[-10*day])
			if got := len(k.Ring().Keys()); got != 3 {
				t.Errorf("mended, and %d keys", got)
			}
		})
	}
}

func TestOpenWithDamagedKeysAlone(t *testing.T) {
	t.Parallel()
	h, kids := newThree(t)
	h.damage(kids[-40*day], kids[-10*day], kids[20*day])
	_, err := keeper.Open(h.config())
	wantDamage(t, err, h.bad.kids...)
	if !errors.Is(err, keys.ErrNoKeys) {
		t.Errorf("got %v", err)
	}
}

// A key that was good before is kept as it was, whatever becomes of it in the store.
func TestKeepsWhatIsDamagedLater(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		bad  []time.Duration
	}{
		{"retired", []time.Duration{-40 * day}},
		{"active", []time.Duration{-10 * day}},
		{"standby", []time.Duration{20 * day}},
		{"all but one", []time.Duration{-10 * day, 20 * day}},
		{"all", []time.Duration{-40 * day, -10 * day, 20 * day}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			h, kids := newThree(t)
			h.damage()
			k := h.open()
			h.look(k)
			want, files := k.Ring().Keys(), h.files()
			var bad []string
			for _, after := range row.bad {
				bad = append(bad, kids[after])
				h.publish(h.name(keys.ES256, after), 0) // a kept key is as old as it was
			}
			h.log.take(t)
			h.damage(bad...)
			for range 3 {
				wantDamage(t, k.Look(), bad...)
				wantDamage(t, k.Trouble(), bad...)
				h.wantKeys(k, want)
				h.wantActive(k, keys.ES256, kids[-10*day])
			}
			if diff := cmp.Diff([]string{"keeping the keys failed; serving those from before"}, h.errorsOf()); diff != "" {
				t.Errorf("the log's errors, - want + got:\n%s", diff)
			}
			h.damage()
			h.look(k)
			h.wantKeys(k, want)
			h.wantFiles(files)
		})
	}
}

// wantKeys checks that the keeper serves those keys, and since when each is published.
func (h *house) wantKeys(k *keeper.Keeper, want []keys.RingKey) {
	h.t.Helper()
	same := func(a, b keys.RingKey) bool {
		return a.Key.ID() == b.Key.ID() && a.SignsFrom.Equal(b.SignsFrom) && a.PublishedAt.Equal(b.PublishedAt)
	}
	if got := k.Ring().Keys(); !slices.EqualFunc(got, want, same) {
		h.t.Errorf("the keys are\n%v, want\n%v", got, want)
	}
}

// A kept standby signs when its time has come, and the life of the ring goes on.
func TestRotatesToAKeptKey(t *testing.T) {
	t.Parallel()
	h, active, standby := newPair(t)
	h.damage()
	k := h.open()
	h.look(k)
	h.damage(standby)
	wantDamage(t, k.Look(), standby)
	h.pass(20 * day)
	wantDamage(t, k.Look(), standby)
	h.wantActive(k, keys.ES256, standby)
	h.wantNames(h.name(keys.ES256, -30*day), h.name(keys.ES256, 0), h.name(keys.ES256, 30*day))
	h.pass(retention)
	wantDamage(t, k.Look(), standby)
	if slices.Contains(h.kids(k.Ring()), active) {
		t.Error("the retired key is not removed")
	}
}

func TestRemovesADamagedKeyThatIsDue(t *testing.T) {
	t.Parallel()
	h, kids := newThree(t)
	h.damage()
	k := h.open()
	h.look(k)
	h.damage(kids[-40*day])
	wantDamage(t, k.Look(), kids[-40*day])
	h.pass(retention)
	h.look(k)
	h.wantFiles(map[string]string{
		h.name(keys.ES256, -10*day-retention): kids[-10*day],
		h.name(keys.ES256, 20*day-retention):  kids[20*day],
	})
}

// The log hears of each key that is damaged, and of whatever else is wrong meanwhile.
func TestDamageGrows(t *testing.T) {
	t.Parallel()
	h, kids := newThree(t)
	h.damage()
	k := h.open()
	h.look(k)
	h.log.take(t)
	looks := func(what string, news int, want ...error) {
		t.Helper()
		for range 2 {
			err := k.Look()
			for _, want := range want {
				if !errors.Is(err, want) {
					t.Errorf("%s: %v, want %v", what, err, want)
				}
			}
		}
		if got := h.errorsOf(); len(got) != news {
			t.Errorf("%s: the log says %q", what, got)
		}
	}
	h.damage(kids[-40*day])
	looks("one", 1, keys.ErrDamaged)
	h.damage(kids[-40*day], kids[20*day])
	looks("two", 1, keys.ErrDamaged)
	h.write("nonsense.pem", nil, 0o600)
	looks("two and a file that is none", 1, keys.ErrDamaged, keys.ErrKey)
	h.damage()
	looks("a file that is none", 0, keys.ErrKey) // the others cannot be known to be mended
	h.must(h.dir.Remove(kids[-40*day]))
	h.rename("nonsense.pem", "nonsense")
	h.look(k)
	h.wantActive(k, keys.ES256, kids[-10*day])
}
