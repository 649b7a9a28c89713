package keeper_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"example.com/signet/issuer/internal/keeper"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// TestMain makes the test binary play the child processes too.
func TestMain(m *testing.M) {
	if play, ok := children[os.Getenv(childVariable)]; ok {
		os.Exit(play())
	}
	goleak.VerifyTestMain(m)
}

const (
	day       = 24 * time.Hour
	retention = 65 * time.Minute
)

var policy = keys.Policy{RotateEvery: 30 * day, PublishAhead: day, Retention: retention}

// house is a key directory, and the clocks and the log of the keepers that look at it.
type house struct {
	t      *testing.T
	dir    keys.Directory
	bad    *damaged // what stands before dir for keepers and operators; nil: nothing
	clock  *keystest.Clock
	uptime *atomic.Int64 // a time.Duration
	log    *logbook
}

// newHouse returns a house whose directory is empty.
func newHouse(t *testing.T) *house {
	t.Helper()
	return &house{t: t, dir: keys.Directory(t.TempDir()), clock: keystest.NewClock(), uptime: new(atomic.Int64), log: new(logbook)}
}

// newRing returns a house with a key of each algorithm that signs for ten days.
func newRing(t *testing.T, algs ...keys.Algorithm) *house {
	t.Helper()
	h := newHouse(t)
	for _, alg := range algs {
		h.add(alg, -10*day)
	}
	return h
}

// newPair returns a house with an ES256 key that signs for ten days and the standby, both published long ago.
func newPair(t *testing.T) (h *house, active, standby string) {
	t.Helper()
	h = newHouse(t)
	return h, h.add(keys.ES256, -10*day), h.add(keys.ES256, 20*day)
}

// store is what keepers and operators see.
func (h *house) store() keeper.Store {
	if h.bad != nil {
		return h.bad
	}
	return h.dir
}

// name is that of a file whose key signs so long after now.
func (h *house) name(alg keys.Algorithm, after time.Duration) string {
	return keys.FileName(alg, h.clock.Now().Add(after))
}

func (h *house) path(name string) string { return filepath.Join(string(h.dir), name) }

// add makes a key that signs so long after now and was published ten days ago, and returns its kid.
func (h *house) add(alg keys.Algorithm, after time.Duration) string {
	h.t.Helper()
	key := newKey(h.t, alg)
	if err := h.dir.Add(keys.RingKey{Key: key, SignsFrom: h.clock.Now().Add(after)}); err != nil {
		h.t.Fatal(err)
	}
	h.publish(h.name(alg, after), -10*day)
	return key.ID()
}

// publish makes the file look as if it was written so long after now.
func (h *house) publish(name string, after time.Duration) {
	h.t.Helper()
	at := h.clock.Now().Add(after)
	h.must(os.Chtimes(h.path(name), at, at))
}

func (h *house) write(name string, text []byte, mode os.FileMode) {
	h.t.Helper()
	h.must(os.WriteFile(h.path(name), text, mode))
	h.must(os.Chmod(h.path(name), mode))
}

func (h *house) rename(from, to string) {
	h.t.Helper()
	h.must(os.Rename(h.path(from), h.path(to)))
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// pass lets time pass on both clocks; leap, on the wall clock alone.
func (h *house) pass(d time.Duration) {
	h.uptime.Add(int64(d))
	h.clock.Advance(d)
}

func (h *house) leap(d time.Duration) { h.clock.Advance(d) }

func (h *house) config() keeper.Config {
	return keeper.Config{
		Store:  h.store(),
		Policy: policy,
		Log:    slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:    h.clock.Now,
		Uptime: func() time.Duration { return time.Duration(h.uptime.Load()) },
	}
}

func (h *house) open() *keeper.Keeper {
	h.t.Helper()
	k, err := keeper.Open(h.config())
	h.must(err)
	return k
}

// look looks, which has to go well.
func (h *house) look(k *keeper.Keeper) {
	h.t.Helper()
	h.must(k.Look())
	h.must(k.Trouble())
}

func (h *house) operator() keeper.Operator {
	return keeper.Operator{Store: h.store(), Policy: policy, Now: h.clock.Now}
}

// files is the directory: the kid of each file, or what else it is.
func (h *house) files() map[string]string {
	h.t.Helper()
	entries, err := os.ReadDir(string(h.dir))
	h.must(err)
	files := make(map[string]string)
	for _, entry := range entries {
		files[entry.Name()] = "no key"
		if key, err := keys.ReadPrivateKey(h.path(entry.Name())); err == nil {
			files[entry.Name()] = key.ID()
		}
	}
	return files
}

func (h *house) wantFiles(want map[string]string) {
	h.t.Helper()
	if diff := cmp.Diff(want, h.files()); diff != "" {
		h.t.Errorf("the directory, - want + got:\n%s", diff)
	}
}

// wantNames is wantFiles for those who do not know the kids.
func (h *house) wantNames(want ...string) {
	h.t.Helper()
	names := make(map[string]bool)
	for name := range h.files() {
		names[name] = true
	}
	wanted := make(map[string]bool)
	for _, name := range want {
		wanted[name] = true
	}
	if diff := cmp.Diff(wanted, names); diff != "" {
		h.t.Errorf("the directory, - want + got:\n%s", diff)
	}
}

func (h *house) wantActive(k *keeper.Keeper, alg keys.Algorithm, kid string) {
	h.t.Helper()
	key, err := k.Active(alg, h.clock.Now())
	h.must(err)
	if key.ID() != kid {
		h.t.Errorf("%s signs, want %s", key.ID(), kid)
	}
}

// kids are what the ring publishes, in its order.
func (h *house) kids(ring *keys.Ring) (kids []string) {
	for key := range ring.Published(h.clock.Now()).All() {
		kids = append(kids, key.ID())
	}
	return kids
}

// newKey makes a key. RSA keys come from a fixed few, because they take long to make.
func newKey(t *testing.T, alg keys.Algorithm) *keys.PrivateKey {
	t.Helper()
	if alg == keys.RS256 {
		return keystest.Key(keystest.RS256)
	}
	key, err := keys.GenerateKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pemOf(t *testing.T, key *keys.PrivateKey) []byte {
	t.Helper()
	text, err := key.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func hintOf(err error) string {
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return hinted.Hint()
	}
	return ""
}

// logbook is a log that a test reads. It is safe for concurrent use.
type logbook struct {
	mu    sync.Mutex
	lines bytes.Buffer // guarded by mu
}

func (b *logbook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lines.Write(p)
}

func (b *logbook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lines.String()
}

// count returns how many entries have that level.
func (b *logbook) count(level slog.Level) int {
	return strings.Count(b.String(), fmt.Sprintf("%q:%q", "level", level))
}

// take returns the entries without their times, and forgets them.
func (b *logbook) take(t *testing.T) []map[string]any {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	var entries []map[string]any
	for line := range strings.Lines(b.lines.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		delete(entry, "time")
		entries = append(entries, entry)
	}
	b.lines.Reset()
	return entries
}
