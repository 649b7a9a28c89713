package keeper_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/issuer/internal/keeper"
	"example.com/signet/keys"
)

// eventually waits until ok. It is for what another goroutine or process does, never for a clock.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	late := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-again.C:
		case <-late:
			t.Fatalf("waited for long: %s", what)
		}
	}
}

// runs runs a keeper that looks only when it is woken, and returns what wakes it. The test ends with it.
func (h *house) runs(k *keeper.Keeper) (wake chan<- struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	woken := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		k.Run(ctx, woken)
	}()
	h.t.Cleanup(func() {
		cancel()
		<-ended
	})
	return woken
}

func (h *house) slow() *keeper.Keeper {
	h.t.Helper()
	cfg := h.config()
	cfg.Poll = time.Hour
	k, err := keeper.Open(cfg)
	h.must(err)
	return k
}

func TestRunLooksWhenWoken(t *testing.T) {
	t.Parallel()
	h := newRing(t, keys.ES256)
	k := h.slow()
	wake := h.runs(k)
	eventually(t, "looks at once", func() bool { return len(k.Ring().Keys()) == 2 })
	h.add(keys.ES256, 50*day)
	select {
	case wake <- struct{}{}: // taken only once Run waits
	case <-time.After(10 * time.Second):
		t.Fatal("nobody hears what wakes it")
	}
	eventually(t, "looks when woken", func() bool { return len(k.Ring().Keys()) == 3 })
}

func TestRunPolls(t *testing.T) {
	t.Parallel()
	h := newRing(t, keys.ES256)
	cfg := h.config()
	cfg.Poll = time.Millisecond
	k, err := keeper.Open(cfg)
	h.must(err)
	h.runs(k)
	eventually(t, "looks at once", func() bool { return len(k.Ring().Keys()) == 2 })
	h.add(keys.ES256, 50*day)
	eventually(t, "polls", func() bool { return len(k.Ring().Keys()) == 3 })
}

// A keeper that polls slowly still looks when a key begins to sign.
func TestRunLooksWhenAKeyBeginsToSign(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add(keys.ES256, -10*day)
	standby := h.add(keys.ES256, 20*day)
	h.clock.Advance(20*day - time.Millisecond)
	k := h.slow()
	h.runs(k)
	eventually(t, "the first look", func() bool { return strings.Contains(h.log.String(), "key.published") })
	h.clock.Advance(time.Millisecond)
	eventually(t, "the standby signs", func() bool {
		for _, entry := range strings.Split(h.log.String(), "\n") {
			if strings.Contains(entry, "key.signs") && strings.Contains(entry, standby) {
				return true
			}
		}
		return false
	})
	eventually(t, "the next standby is made", func() bool { return len(k.Ring().Keys()) == 3 })
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	key := newKey(t, keys.ES256)
	h.must(h.dir.Add(keys.RingKey{Key: key, SignsFrom: time.Now().Add(-time.Minute)}))
	k, err := keeper.Open(keeper.Config{Store: h.dir, Policy: policy, Log: slog.New(slog.DiscardHandler)})
	h.must(err)
	h.look(k)
	if survey := k.Survey()[0]; survey.Active().Key.ID() != key.ID() || survey.Standby() == nil {
		t.Errorf("got %+v", survey)
	}
	o := keeper.Operator{Store: h.dir, Policy: policy}
	if _, err := o.Rotate(keys.ES256); !errors.Is(err, keeper.ErrTooEarly) {
		t.Errorf("got %v", err)
	}
}

// The audit events of a whole life, name by name and field by field.
func TestAudit(t *testing.T) {
	t.Parallel()
	h := newRing(t, keys.ES256)
	k := h.open()
	h.look(k)
	active, standby := k.Survey()[0].Active().RingKey, k.Survey()[0].Standby().RingKey
	event := func(name string, key keys.RingKey) map[string]any {
		return map[string]any{"level": "INFO", "msg": "audit", "event": name, "kid": key.Key.ID(), "alg": "ES256",
			"signs_from": key.SignsFrom.Format(time.RFC3339Nano), "published_at": key.PublishedAt.Format(time.RFC3339Nano)}
	}
	removed := func(key keys.RingKey) map[string]any {
		return map[string]any{"level": "INFO", "msg": "audit", "event": "key.removed", "kid": key.Key.ID()}
	}
	var private []byte
	says := func(what string, want ...map[string]any) {
		t.Helper()
		if strings.Contains(h.log.String(), "PRIVATE") {
			t.Errorf("%s: private material in the log", what)
		}
		if diff := cmp.Diff(want, h.log.take(t)); diff != "" {
			t.Errorf("%s, - want + got:\n%s", what, diff)
		}
	}
	says("first look", event("key.signs", active), event("key.published", standby))
	h.look(k)
	says("nothing happens")
	h.pass(20 * day)
	h.look(k)
	next := k.Survey()[0].Standby().RingKey
	says("rotation", event("key.retired", active), event("key.signs", standby), event("key.published", next))

	h.pass(retention)
	for name, kid := range h.files() { // a key that is due, and cannot be removed yet
		if kid == active.Key.ID() {
			text, err := os.ReadFile(h.path(name))
			h.must(err)
			private = text
		}
	}
	h.uptime.Add(-int64(time.Second))
	h.look(k)
	says("due", event("key.due", active))
	h.uptime.Add(int64(time.Second))
	h.look(k)
	says("removed", removed(active))
	if len(private) == 0 {
		t.Error("the key was gone early")
	}
}

const childVariable = "SIGNET_KEEPER_TEST_CHILD"

// children are the processes that the test binary plays, each in the directory it is started in.
var children = map[string]func() int{"full disk": fullDisk}

// On a disk that is full no key is made: an error that the log says once, nothing left behind, the ring as it was.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	h := newRing(t, keys.ES256)
	before := h.files()
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this binary
	cmd.Env = append(os.Environ(), childVariable+"=full disk", "CHILD_DIR="+string(h.dir))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	h.wantFiles(before)
	if got := strings.Count(string(out), `"level":"ERROR"`); got != 1 {
		t.Errorf("the log says so %d times: %s", got, out)
	}
	if strings.Contains(string(out), "BEGIN") || strings.Contains(string(out), ".unfinished") {
		t.Errorf("log: %s", out)
	}
}

// fullDisk cannot write more than a few octets to any file.
func fullDisk() int {
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: 16, Max: 16}
	dir := keys.Directory(os.Getenv("CHILD_DIR"))
	k, err := keeper.Open(keeper.Config{Store: dir, Policy: policy, Log: slog.New(slog.NewJSONHandler(os.Stderr, nil))})
	if err != nil {
		return 3
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return 4
	}
	ring := k.Ring()
	for range 3 {
		if err := k.Look(); !errors.Is(err, syscall.EFBIG) || k.Trouble() == nil {
			return 5
		}
	}
	o := keeper.Operator{Store: dir, Policy: policy}
	if _, err := o.Generate(keys.ES256); !errors.Is(err, syscall.EFBIG) {
		return 6
	}
	if err := o.RevokeAll(); !errors.Is(err, syscall.EFBIG) {
		return 7
	}
	if k.Ring() != ring {
		return 8
	}
	return 0
}
