package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/signet/issuer/internal/cache"
	"example.com/signet/issuer/internal/clients"
	"example.com/signet/keys/keystest"
)

const (
	orders   = "https://orders.example.com"
	maxStale = 5 * time.Minute
)

// world is a cache, its database, and what is around them.
type world struct {
	*cache.Cache
	t     *testing.T
	db    *database
	clock *keystest.Clock
	log   *log
	unfit error // what the check says; nil: all fits
	fits  int   // how often it was asked
}

// newWorld is a world whose cache is not open yet.
func newWorld(t *testing.T) *world {
	return &world{t: t, db: newDatabase(), clock: keystest.NewClock(), log: &log{}}
}

// config is what the tests open a cache with, and what they change about it.
func (w *world) config(changes ...func(*cache.Config)) cache.Config {
	cfg := cache.Config{
		Store: w.db, Size: 100, MaxStale: maxStale, Log: w.log.logger(), Now: w.clock.Now,
		Check: func(*clients.Resources) error { w.fits++; return w.unfit },
	}
	for _, change := range changes {
		change(&cfg)
	}
	return cfg
}

// open opens a cache on a database with these clients.
func open(t *testing.T, all ...*clients.Client) *world {
	t.Helper()
	w := newWorld(t)
	w.db.put(all...)
	w.open()
	return w
}

func (w *world) open(changes ...func(*cache.Config)) {
	w.t.Helper()
	opened, err := cache.Open(w.t.Context(), w.config(changes...))
	if err != nil {
		w.t.Fatal(err)
	}
	w.Cache = opened
}

func sized(n int) func(*cache.Config) { return func(cfg *cache.Config) { cfg.Size = n } }

// look looks, and sees that Trouble says the same. An error must be err, and none nil.
func (w *world) look(err error) {
	w.t.Helper()
	got := w.Look(w.t.Context())
	if !errors.Is(got, err) {
		w.t.Errorf("look: %v, want %v", got, err)
	}
	if trouble := w.Trouble(); trouble != got {
		w.t.Errorf("look: %v, trouble: %v", got, trouble)
	}
}

// find asks for a client and does not wait for ever.
func (w *world) find(id string) (*clients.Client, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	return w.Client(ctx, id)
}

// answer is the name of a client that was found, or the error.
func answer(client *clients.Client, err error) string {
	switch {
	case client != nil && err != nil:
		return fmt.Sprintf("both %q and %v", client.Name, err)
	case err != nil:
		return err.Error()
	}
	return client.Name
}

// wants sees what is answered for clients, which are given as id, answer, id, answer.
func (w *world) wants(answers ...string) {
	w.t.Helper()
	for pair := range slices.Chunk(answers, 2) {
		if got := answer(w.find(pair[0])); got != pair[1] {
			w.t.Errorf("client %.40q: %q, want %q", pair[0], got, pair[1])
		}
	}
}

// asked sees how often a client was looked up until now.
func (w *world) asked(id string, want int) {
	w.t.Helper()
	if got := w.db.lookups(id); got != want {
		w.t.Errorf("client %.40q was looked up %d times, want %d", id, got, want)
	}
}

// wantErr sees that err is the sentinel.
func wantErr(t testing.TB, err, sentinel error) {
	t.Helper()
	if !errors.Is(err, sentinel) {
		t.Errorf("error %v, want %v", err, sentinel)
	}
}

const unknown = "unknown client" // what [clients.ErrUnknownClient] says

// answers gathers what callers get who ask at once.
type answers struct {
	mu  sync.Mutex
	all []string
}

func (a *answers) add(one string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, one)
}

// sorted returns what there is until now.
func (a *answers) sorted() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(slices.Values(a.all))
}

// asking asks for a client from a goroutine of its own.
func (w *world) asking(ctx context.Context, id string, into *answers) {
	go func() { into.add(answer(w.Client(ctx, id))) }()
}

// log is what was logged. It is safe for concurrent use.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}

func (l *log) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// says sees that so many lines were logged since it was last asked, which begin so.
func (l *log) says(t *testing.T, want ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var got []string
	if text := strings.TrimSuffix(l.text.String(), "\n"); text != "" {
		got = strings.Split(text, "\n")
	}
	l.text.Reset()
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("the log says %q\nwant %q", got, want)
	}
}
