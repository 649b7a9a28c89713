package keeper_test

import (
	"log/slog"
	"maps"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/issuer/internal/keeper"
	"example.com/signet/keys"
)

func TestMakesTheStandby(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name   string
		late   time.Duration // how long after the active key has begun to sign
		algs   []keys.Algorithm
		signAt time.Duration // when the standby signs, after the active key has begun to
	}{
		{"ES256", 10 * day, []keys.Algorithm{keys.ES256}, 30 * day},
		{"RS256", 10 * day, []keys.Algorithm{keys.RS256}, 30 * day},
		{"both", 10 * day, []keys.Algorithm{keys.ES256, keys.RS256}, 30 * day},
		{"at once", 0, []keys.Algorithm{keys.ES256}, 30 * day},
		{"the last second for this period", 29 * day, []keys.Algorithm{keys.ES256}, 30 * day},
		{"a second too late for this period", 29*day + time.Second, []keys.Algorithm{keys.ES256}, 60 * day},
		{"after a year without an issuer", 365 * day, []keys.Algorithm{keys.ES256}, 390 * day},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			want := make(map[string]string)
			for _, alg := range row.algs {
				kid := h.add(alg, -row.late)
				want[h.name(alg, -row.late)] = kid
			}
			k := h.open()
			h.look(k)
			made := h.files()
			for _, alg := range row.algs {
				want[h.name(alg, row.signAt-row.late)] = made[h.name(alg, row.signAt-row.late)]
			}
			h.wantFiles(want)
			ring := k.Ring()
			for range 3 {
				h.look(k)
				h.pass(time.Minute)
			}
			h.wantFiles(want)
			if k.Ring() != ring {
				t.Error("the ring is another pointer, and nothing has changed")
			}
			if len(ring.Keys()) != len(want) {
				t.Errorf("serves %d keys", len(ring.Keys()))
			}
			for _, survey := range k.Survey() {
				if survey.Active() == nil || survey.Standby() == nil || !survey.Make.IsZero() {
					t.Errorf("%s: %+v", survey.Algorithm, survey)
				}
			}
			if kids := len(h.kids(ring)); kids != len(want) {
				t.Errorf("publishes %d keys", kids)
			}
		})
	}
}

// Two keepers on one directory that look in turn make one key where one is due, over a whole year.
func TestTwoKeepersInTurn(t *testing.T) {
	t.Parallel()
	h := newRing(t, keys.ES256)
	one, other := h.open(), h.open()
	seen := map[string]bool{}
	for range 365 * 2 {
		h.look(one)
		h.look(other)
		h.look(one) // and sees what the other has done
		if diff := cmp.Diff(h.kids(one.Ring()), h.kids(other.Ring())); diff != "" {
			t.Fatalf("they disagree: %s", diff)
		}
		files := h.files()
		if len(files) > policy.MostKeys() {
			t.Fatalf("%d keys: %v", len(files), files)
		}
		for _, kid := range files {
			seen[kid] = true
		}
		h.pass(12 * time.Hour)
	}
	if len(seen) != 14 { // one to begin with, 12 rotations in 365 + 10 days, and the standby
		t.Errorf("%d keys were made, want 14", len(seen))
	}
}

func TestManyKeepersAtOnce(t *testing.T) {
	t.Parallel()
	h := newRing(t, keys.ES256)
	keepers := []*keeper.Keeper{h.open(), h.open(), h.open(), h.open()}
	for range 20 {
		var all sync.WaitGroup
		for _, k := range keepers {
			all.Go(func() {
				if err := k.Look(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if files := h.files(); len(files) > policy.MostKeys() || len(files) < 2 {
			t.Fatalf("%d keys: %v", len(files), files)
		}
		for _, k := range keepers { // each sees what the last one has done
			if err := k.Look(); err != nil {
				t.Error(err)
			}
			got, want := h.kids(k.Ring()), h.kids(keepers[0].Ring())
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("they disagree: %s", diff)
			}
		}
		h.pass(15 * day)
	}
}

// A key goes only when it is due by the wall clock and this process has watched it for the retention.
func TestRemovesWhatIsDue(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name   string
		wall   time.Duration // how long the key is retired by the wall clock, at the second look
		uptime time.Duration // how long this process has watched it
		gone   bool
	}{
		{"both", retention, retention, true},
		{"long after", 3 * day, 3 * day, true},
		{"neither", retention - time.Second, retention - time.Second, false},
		{"wall clock only", retention, retention - time.Second, false},
		{"the process has just begun", 20 * day, 0, false},
		{"watched for long, and the wall clock is behind", retention - time.Second, 2 * retention, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			retired := h.add(keys.ES256, -30*day)
			h.add(keys.ES256, 0)
			h.add(keys.ES256, 30*day)
			before := h.files()
			k := h.open()
			h.look(k)
			h.clock.Advance(row.wall)
			h.uptime.Add(int64(row.uptime))
			h.look(k)
			want := maps.Clone(before)
			if row.gone {
				maps.DeleteFunc(want, func(_, kid string) bool { return kid == retired })
			}
			h.wantFiles(want)
			if got := len(k.Ring().Keys()); got != len(want) {
				t.Errorf("serves %d keys, want %d", got, len(want))
			}
		})
	}
}

// What this process saw before the key was retired, or before the clock went back, does not count.
func TestRetentionCountsAnew(t *testing.T) {
	t.Parallel()
	h, active, _ := newPair(t)
	k := h.open()
	h.look(k)
	h.pass(19 * day) // watched, but not retired
	h.look(k)
	h.pass(day)
	h.look(k) // retired now
	h.pass(retention / 2)
	h.look(k)
	h.leap(-time.Hour) // signs again
	h.look(k)
	h.wantActive(k, keys.ES256, active)
	h.leap(time.Hour)
	h.look(k)
	h.pass(retention / 2)
	h.look(k)
	if len(h.files()) != 3 {
		t.Errorf("it is gone after half of the retention: %v", h.files())
	}
	h.pass(retention / 2)
	h.look(k)
	if len(h.files()) != 2 {
		t.Errorf("it is not gone after the retention: %v", h.files())
	}
}

func TestClockLeaps(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		leap time.Duration
	}{
		{"an hour ahead", time.Hour},
		{"a year ahead", 365 * day},
		{"an hour back", -time.Hour},
		{"a year back", -365 * day},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.add(keys.ES256, -30*day-2*time.Minute)
			active := h.add(keys.ES256, -2*time.Minute)
			h.add(keys.ES256, 30*day-2*time.Minute)
			before := h.files()
			k := h.open()
			h.look(k)
			ring := k.Ring()
			h.leap(row.leap)
			for range 5 {
				h.pass(time.Minute)
				h.look(k)
				h.wantFiles(before)
			}
			h.leap(-row.leap)
			h.look(k)
			h.wantFiles(before)
			h.wantActive(k, keys.ES256, active)
			if k.Ring() != ring {
				t.Error("the ring is another one")
			}
			want := 0
			if row.leap.Abs() > day {
				want = 2
			}
			if got := h.log.count(slog.LevelWarn); got != want {
				t.Errorf("%d warnings, want %d: %s", got, want, h.log)
			}
		})
	}
}

// A machine that was asleep for two months has the right time afterwards: the standby comes when that has stood.
func TestClockLeapsForGood(t *testing.T) {
	t.Parallel()
	h, _, standby := newPair(t)
	k := h.open()
	h.look(k)
	h.leap(60 * day)
	h.look(k)
	h.pass(retention - time.Second)
	h.look(k)
	if len(h.files()) != 2 {
		t.Errorf("too early: %v", h.files())
	}
	h.pass(time.Second)
	h.look(k)
	h.wantActive(k, keys.ES256, standby)
	h.wantNames(h.name(keys.ES256, -40*day-retention), h.name(keys.ES256, 20*day-retention)) // the due one is gone too
}

func TestRestartKeepsTheRing(t *testing.T) {
	t.Parallel()
	h := newRing(t, keys.ES256)
	for range 10 {
		h.look(h.open())
		before := h.files()
		h.look(h.open())
		h.wantFiles(before)
		h.pass(day)
	}
}

// In a directory that this process cannot write, rotation is the operator's: no error, and a warning a day that begins a
// day before the standby has to be there.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	h := newRing(t, keys.ES256, keys.RS256)
	h.must(os.Chmod(string(h.dir), 0o500)) //nolint:gosec // a directory
	t.Cleanup(func() { _ = os.Chmod(string(h.dir), 0o700) })
	asNobody(t, h, func() {
		k := h.open()
		before := h.files()
		h.pass(18*day - time.Second) // signs for 10 + 18 days: the standby has to be there after 29
		h.look(k)
		if got := h.log.count(slog.LevelWarn); got != 0 {
			t.Errorf("warned before its day: %s", h.log)
		}
		h.log.take(t)
		h.pass(time.Second)
		for range 24 {
			h.look(k)
			h.pass(time.Hour)
		}
		var warned []any
		for _, entry := range h.log.take(t) {
			if entry["level"] == "WARN" {
				if !strings.Contains(entry["cause"].(string), keys.ErrReadOnly.Error()) || entry["publish_before"] != "2026-12-12T10:15:00Z" {
					t.Errorf("got %v", entry)
				}
				warned = append(warned, entry["alg"])
			} else if entry["level"] == "ERROR" {
				t.Errorf("got %v", entry)
			}
		}
		if diff := cmp.Diff([]any{"ES256", "RS256"}, warned); diff != "" {
			t.Errorf("warned of: %s", diff)
		}
		h.look(k)
		if got := h.log.count(slog.LevelWarn); got != 2 {
			t.Errorf("%d warnings on the second day, want one for each algorithm", got)
		}
		h.wantFiles(before)
	})
}

// asNobody runs do so that the directory's mode holds for it: as another user when this is root.
func asNobody(t *testing.T, h *house, do func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		do()
		return
	}
	const nobody = 65534
	h.must(os.Chmod(string(h.dir)+"/..", 0o755)) //nolint:gosec // a directory for one test
	h.must(os.Chown(string(h.dir), nobody, -1))
	for name := range h.files() {
		h.must(os.Chown(h.path(name), nobody, -1))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread, which is somebody else now, ends with the goroutine
		if err := syscall.Setfsuid(nobody); err != nil {
			t.Error(err)
			return
		}
		do()
	}()
	<-done
}
