package keys_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// start is when the clock of keystest starts; at is so many hours from then.
var start = keystest.NewClock().Now()

func at(hours int) time.Time { return start.Add(time.Duration(hours) * time.Hour) }

func ringKey(name string, hours int) keys.RingKey {
	return keys.RingKey{Key: keystest.Key(name), SignsFrom: at(hours)}
}

// idOf returns the kid of a fixed key; kidsOf those of a set, in order.
func idOf(name string) string { return keystest.Key(name).ID() }

func kidsOf(set *keys.Set) []string {
	var ids []string
	for key := range set.All() {
		ids = append(ids, key.ID())
	}
	return ids
}

func TestRingActive(t *testing.T) {
	t.Parallel()
	ring := must(keys.NewRing(ringKey(keystest.ES256, -10), ringKey(keystest.ES256Other, 5), ringKey(keystest.RS256, 1)))
	rows := []struct {
		name string
		alg  keys.Algorithm
		now  time.Time
		want string // "" when none signs
	}{
		{"the only one whose moment has come", keys.ES256, at(0), keystest.ES256},
		{"at its moment", keys.ES256, at(-10), keystest.ES256},
		{"a nanosecond before", keys.ES256, at(-10).Add(-1), ""},
		{"a nanosecond before the next", keys.ES256, at(5).Add(-1), keystest.ES256},
		{"at the next moment", keys.ES256, at(5), keystest.ES256Other},
		{"long after", keys.ES256, at(100_000), keystest.ES256Other},
		{"in another time zone", keys.ES256, at(5).In(time.FixedZone("", -8*3600)), keystest.ES256Other},
		{"another algorithm, not yet", keys.RS256, at(0), ""},
		{"another algorithm", keys.RS256, at(1), keystest.RS256},
		{"an algorithm without keys", "ES384", at(9), ""},
		{"no algorithm", "", at(9), ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			key, err := ring.Active(row.alg, row.now)
			if row.want == "" {
				wantError(t, err, keys.ErrInactive, string(row.alg))
				if key != nil {
					t.Error("a key beside the error")
				}
				return
			}
			if err != nil || key.ID() != idOf(row.want) {
				t.Errorf("got %v, %v, want %s", key, err, row.want)
			}
		})
	}
}

func TestRingPublished(t *testing.T) {
	t.Parallel()
	ring := must(keys.NewRing(ringKey(keystest.ES256, -10), ringKey(keystest.ES256Other, 5),
		ringKey(keystest.RS256, -20), ringKey(keystest.RS256Other, 20)))
	rows := []struct {
		name string
		now  time.Time
		want []string
	}{
		{"before any signs", at(-100), []string{keystest.RS256Other, keystest.ES256Other, keystest.ES256, keystest.RS256}},
		{"one signs", at(-15), []string{keystest.RS256, keystest.RS256Other, keystest.ES256Other, keystest.ES256}},
		{"two sign, two wait", at(0), []string{keystest.ES256, keystest.RS256, keystest.RS256Other, keystest.ES256Other}},
		{"one retired", at(5), []string{keystest.ES256Other, keystest.RS256, keystest.RS256Other, keystest.ES256}},
		{"two retired", at(20), []string{keystest.RS256Other, keystest.ES256Other, keystest.ES256, keystest.RS256}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			want := make([]string, len(row.want))
			for i, name := range row.want {
				want[i] = idOf(name)
			}
			if diff := cmp.Diff(want, kidsOf(ring.Published(row.now))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRingNextChange(t *testing.T) {
	t.Parallel()
	ring := must(keys.NewRing(ringKey(keystest.ES256, 0), ringKey(keystest.RS256, 3), ringKey(keystest.ES256Other, 7)))
	rows := []struct {
		name string
		now  time.Time
		want time.Time // zero when nothing is to come
	}{
		{"before all", at(-1), at(0)},
		{"at the first", at(0), at(3)},
		{"just before the second", at(3).Add(-1), at(3)},
		{"between", at(4), at(7)},
		{"at the last", at(7), time.Time{}},
		{"after the last", at(8), time.Time{}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			next, ok := ring.NextChange(row.now)
			if !next.Equal(row.want) || ok == row.want.IsZero() {
				t.Errorf("got %v, %v, want %v", next, ok, row.want)
			}
		})
	}
}

func TestNewRingRefuses(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		keys []keys.RingKey
		want error
		say  string
	}{
		{"nothing", nil, keys.ErrNoKeys, ""},
		{"one key at two moments", []keys.RingKey{ringKey(keystest.ES256, 0), ringKey(keystest.ES256, 1)}, keys.ErrKey,
			idOf(keystest.ES256) + " is in the ring twice"},
		{"two keys at one moment", []keys.RingKey{ringKey(keystest.ES256, 0), ringKey(keystest.ES256Other, 0)}, keys.ErrKey,
			"two ES256 keys sign from 20261123T101500Z"},
		{"two keys in one second", []keys.RingKey{ringKey(keystest.ES256, 0),
			{Key: keystest.Key(keystest.ES256Other), SignsFrom: at(0).Add(time.Second - 1)}}, keys.ErrKey, "two ES256 keys"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			ring, err := keys.NewRing(row.keys...)
			wantError(t, err, row.want, row.say)
			if ring != nil {
				t.Error("a ring beside the error")
			}
		})
	}
}

// A moment is kept to the second, in memory as in a file's name: else a ring would change when it is read back.
func TestRingMomentsAreSeconds(t *testing.T) {
	t.Parallel()
	precise := keys.RingKey{Key: keystest.Key(keystest.ES256), SignsFrom: at(1).Add(700 * time.Millisecond)}
	ring := must(keys.NewRing(precise))
	if next, _ := ring.NextChange(at(0)); !next.Equal(at(1)) {
		t.Errorf("signs from %v, want %v", next, at(1))
	}
	if _, err := ring.Active(keys.ES256, at(1)); err != nil {
		t.Error(err)
	}
}

// Two algorithms may change at the same moment.
func TestRingTwoAlgorithmsOneMoment(t *testing.T) {
	t.Parallel()
	given := []keys.RingKey{ringKey(keystest.RS256, 0), ringKey(keystest.ES256, 0)}
	a, b := must(keys.NewRing(given...)), must(keys.NewRing(given[1], given[0]))
	if diff := cmp.Diff(kidsOf(a.Published(at(0))), kidsOf(b.Published(at(0)))); diff != "" {
		t.Errorf("the order depends on the order given: %s", diff)
	}
}

// Whatever the ring and the time: the key that signs is the newest whose moment has come, every key is published once,
// and the keys that sign come first.
func TestRingProperties(t *testing.T) {
	t.Parallel()
	names := []string{keystest.ES256, keystest.ES256Other, keystest.RS256, keystest.RS256Other}
	loaded := make(map[string]*keys.PrivateKey)
	for _, name := range names {
		loaded[name] = keystest.Key(name)
	}
	rapid.Check(t, func(t *rapid.T) {
		chosen := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, len(names), rapid.ID).Draw(t, "names")
		moments := rapid.SliceOfNDistinct(rapid.Int64Range(-5, 5), len(chosen), len(chosen), rapid.ID).Draw(t, "moments")
		now := start.Add(time.Duration(rapid.Int64Range(-6500, 6500).Draw(t, "now")) * time.Millisecond)
		var given []keys.RingKey
		for i, name := range chosen {
			moment := start.Add(time.Duration(moments[i]) * time.Second)
			given = append(given, keys.RingKey{Key: loaded[name], SignsFrom: moment})
		}
		ring, err := keys.NewRing(given...)
		if err != nil {
			t.Fatal(err)
		}
		signing := make(map[string]bool)
		for _, alg := range keys.Algorithms() {
			want := newest(given, alg, now)
			got, err := ring.Active(alg, now)
			switch {
			case want == nil && !errors.Is(err, keys.ErrInactive):
				t.Fatalf("%s: got %v, %v, want ErrInactive", alg, got, err)
			case want != nil && (err != nil || got != want):
				t.Fatalf("%s: got %v, %v, want %v", alg, got, err, want)
			case want != nil:
				signing[want.ID()] = true
			}
		}
		published := kidsOf(ring.Published(now))
		if len(published) != len(given) {
			t.Fatalf("%d keys published of %d", len(published), len(given))
		}
		for i, id := range published {
			if (i < len(signing)) != signing[id] {
				t.Fatalf("key %d of %v signs: %v", i, published, signing[id])
			}
		}
		checkNextChange(t, ring, given, now)
	})
}

// newest is what Active must return, said as plainly as can be.
func newest(given []keys.RingKey, alg keys.Algorithm, now time.Time) *keys.PrivateKey {
	var best keys.RingKey
	for _, k := range given {
		if k.Key.Algorithm() == alg && !k.SignsFrom.After(now) && (best.Key == nil || k.SignsFrom.After(best.SignsFrom)) {
			best = k
		}
	}
	return best.Key
}

func checkNextChange(t *rapid.T, ring *keys.Ring, given []keys.RingKey, now time.Time) {
	var future []time.Time
	for _, k := range given {
		if k.SignsFrom.After(now) {
			future = append(future, k.SignsFrom)
		}
	}
	next, ok := ring.NextChange(now)
	if ok != (len(future) > 0) || ok && !next.Equal(slices.MinFunc(future, time.Time.Compare)) {
		t.Fatalf("next change %v, %v, of %v", next, ok, future)
	}
}

func TestReadRing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, hours int) {
		key := keystest.Key(name)
		writeFile(t, filepath.Join(dir, keys.FileName(key.Algorithm(), at(hours))), keystest.PEM(name), 0o600)
	}
	write(keystest.ES256, -1)
	write(keystest.ES256Other, 1)
	write(keystest.RS256, -2)
	// Other endings are none of the ring's business: notes, files half written, backups, however loose.
	for _, name := range []string{"README.md", ".gitignore", "es256-20261123T101500Z.pem.tmp", "old.pem~", "pem"} {
		writeFile(t, filepath.Join(dir, name), []byte("not a key"), 0o644)
	}
	if err := os.Mkdir(filepath.Join(dir, "attic"), 0o700); err != nil {
		t.Fatal(err)
	}
	ring, err := keys.ReadRing(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{idOf(keystest.ES256), idOf(keystest.RS256), idOf(keystest.ES256Other)}
	if diff := cmp.Diff(want, kidsOf(ring.Published(at(0)))); diff != "" {
		t.Error(diff)
	}
	if next, ok := ring.NextChange(at(0)); !ok || !next.Equal(at(1)) {
		t.Errorf("next change %v, %v", next, ok)
	}
}

func TestReadRingNoKeys(t *testing.T) {
	t.Parallel()
	empty, notes := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(notes, "README"), nil, 0o644)
	for name, dir := range map[string]string{
		"missing": filepath.Join(empty, "missing"), "empty": empty, "without a key file": notes,
	} {
		ring, err := keys.ReadRing(dir)
		wantError(t, err, keys.ErrNoKeys, dir)
		if ring != nil {
			t.Errorf("%s: a ring beside the error", name)
		}
	}
	if _, err := keys.ReadRing(filepath.Join(notes, "README")); err == nil || errors.Is(err, keys.ErrNoKeys) {
		t.Errorf("a file for a directory: %v", err)
	}
}

// One bad file refuses the whole ring, beside two good ones.
func TestReadRingRefuses(t *testing.T) {
	t.Parallel()
	const good = "es256-20261123T101500Z.pem"
	es, rs, other := keystest.PEM(keystest.ES256), keystest.PEM(keystest.RS256), keystest.PEM(keystest.ES256Other)
	rows := []struct {
		name string
		file string
		text []byte
		mode os.FileMode
		want error
		say  string
	}{
		{"open to others", "es256-20261223T101500Z.pem", other, 0o644, keys.ErrLooseMode, "0644"},
		{"open to others and no key", "es256-20261223T101500Z.pem", nil, 0o640, keys.ErrLooseMode, "0640"},
		{"key of another algorithm", "rs256-20261223T101500Z.pem", other, 0o600, keys.ErrKey, "named RS256, but the key is for ES256"},
		{"another algorithm's key", "es256-20261223T101500Z.pem", keystest.PEM(keystest.RS256Other), 0o600, keys.ErrKey,
			"named ES256, but the key is for RS256"},
		{"the same key under two names", "es256-20261223T101500Z.pem", es, 0o600, keys.ErrKey, "is in the ring twice"},
		{"empty", "es256-20261223T101500Z.pem", nil, 0o600, keys.ErrKey, "not PEM"},
		{"weak", "rs256-20261223T101500Z.pem", keystest.PEM(keystest.WeakRSA), 0o600, keys.ErrKey, "RSA of 1024 bits"},
		{"two keys", "es256-20261223T101500Z.pem", append(slices.Clone(other), rs...), 0o600, keys.ErrKey, "something follows"},

		{"lower-case z", "es256-20261223T101500z.pem", other, 0o600, keys.ErrKey, "named by when it signs"},
		{"no z", "es256-20261223T101500.pem", other, 0o600, keys.ErrKey, "named by when it signs"},
		{"lower-case t", "es256-20261223t101500Z.pem", other, 0o600, keys.ErrKey, "named by when it signs"},
		{"offset", "es256-20261223T101500+0100.pem", other, 0o600, keys.ErrKey, "named by when it signs"},
		{"fraction", "es256-20261223T101500.5Z.pem", other, 0o600, keys.ErrKey, "named by when it signs"},
		{"comma fraction", "es256-20261223T101500,5Z.pem", other, 0o600, keys.ErrKey, "named by when it signs"},
		{"day that is not", "es256-20261131T101500Z.pem", other, 0o600, keys.ErrKey, "named by when it signs"},
		{"hour that is not", "es256-20261130T241500Z.pem", other, 0o600, keys.ErrKey, "named by when it signs"},
		{"upper-case algorithm", "ES256-20261223T101500Z.pem", other, 0o600, keys.ErrKey, "named by when it signs"},
		{"unknown algorithm", "es384-20261223T101500Z.pem", other, 0o600, keys.ErrKey, "named by when it signs"},
		{"no algorithm", "20261223T101500Z.pem", other, 0o600, keys.ErrKey, "named by when it signs"},
		{"no moment", "es256-.pem", other, 0o600, keys.ErrKey, "named by when it signs"},
		{"renamed by hand", "es256-20261223T101500Z (copy).pem", other, 0o600, keys.ErrKey, "named by when it signs"},
		{"backup", "old-es256-20261223T101500Z.pem", other, 0o600, keys.ErrKey, "named by when it signs"},
		{"ending in capitals", "es256-20261223T101500Z.PEM", other, 0o600, keys.ErrKey, "named by when it signs"},
		{"ending twice", "es256-20261223T101500Z.pem.pem", other, 0o600, keys.ErrKey, "named by when it signs"},
		{"ending alone", ".pem", other, 0o600, keys.ErrKey, "named by when it signs"},
		{"hidden", ".es256-20261223T101500Z.pem", other, 0o600, keys.ErrKey, "named by when it signs"},
		{"a wrong name and no key", "demo.pem", nil, 0o644, keys.ErrKey, "named by when it signs"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, good), es, 0o600)
			writeFile(t, filepath.Join(dir, "rs256-20261123T101500Z.pem"), rs, 0o600)
			path := writeFile(t, filepath.Join(dir, row.file), row.text, row.mode)
			ring, err := keys.ReadRing(dir)
			wantError(t, err, row.want, row.say)
			if ring != nil {
				t.Error("a ring beside the error")
			}
			if !strings.Contains(err.Error(), path) && !strings.Contains(err.Error(), dir) {
				t.Errorf("error %q does not say where", err)
			}
			if strings.Contains(row.say, "named by") && !strings.Contains(hintOf(err), "rename it") {
				t.Errorf("hint %q", hintOf(err))
			}
		})
	}
}

func TestReadRingRefusesDirectoryNamedLikeKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, keys.FileName(keys.ES256, at(0))), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := keys.ReadRing(dir)
	wantError(t, err, keys.ErrKey, "not a regular file")
}

func TestFileNameRoundTrip(t *testing.T) {
	t.Parallel()
	if got := keys.FileName(keys.ES256, start.In(time.FixedZone("", 5*3600))); got != "es256-20261123T101500Z.pem" {
		t.Errorf("got %q", got)
	}
	dir := t.TempDir()
	text := keystest.PEM(keystest.ES256)
	rapid.Check(t, func(t *rapid.T) {
		const first, last = -62135596799, 253402300799 // the years 1 to 9999, without time.Time's zero
		moment := time.Unix(rapid.Int64Range(first, last).Draw(t, "moment"), 0)
		path := filepath.Join(dir, keys.FileName(keys.ES256, moment))
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(path)
		ring, err := keys.ReadRing(dir)
		if err != nil {
			t.Fatal(err)
		}
		if next, ok := ring.NextChange(moment.Add(-1)); !ok || !next.Equal(moment) {
			t.Fatalf("wrote %v, read %v", moment, next)
		}
	})
}
