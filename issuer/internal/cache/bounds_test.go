package cache_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"example.com/signet/issuer/internal/cache"
	"example.com/signet/issuer/internal/clients"
)

// Of the clients those are held that were asked for last.
func TestHoldsTheLatest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, id := range []string{"a", "b", "c", "d"} {
		w.db.put(named(id, id))
	}
	w.open(sized(3))
	w.wants("a", "a", "b", "b", "c", "c", "a", "a", "d", "d") // b is pushed out
	if n := w.Len(); n != 3 {
		t.Errorf("%d clients are held, want 3", n)
	}
	w.wants("a", "a", "c", "c", "d", "d")
	for _, id := range []string{"a", "b", "c", "d"} {
		w.asked(id, 1)
	}
	w.wants("b", "b")
	w.asked("b", 2)
	if n := w.Len(); n != 3 {
		t.Errorf("%d clients are held, want 3", n)
	}
}

// Of the ids that nobody has, as many are known, and they push out no client.
func TestKnowsTheLatestUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.db.put(named("a", "a"), named("b", "b"))
	w.open(sized(2))
	w.wants("a", "a", "b", "b", "x", unknown, "y", unknown, "x", unknown, "y", unknown)
	w.asked("x", 1)
	w.asked("y", 1)
	w.wants("z", unknown, "y", unknown, "x", unknown) // x was pushed out, and pushes z out
	w.asked("x", 2)
	w.asked("y", 1)
	w.wants("a", "a", "b", "b")
	w.asked("a", 1)
	w.asked("b", 1)
}

func TestNoSize(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, -1} {
		w := newWorld(t)
		opened, err := cache.Open(t.Context(), w.config(sized(size)))
		if opened != nil || err == nil || err.Error() != "cache: must provide a positive size" {
			t.Errorf("size %d: %v, %v", size, opened, err)
		}
	}
}

// forgetful is a database that remembers nothing of whom it was asked for.
type forgetful struct{ *database }

func (f forgetful) Client(_ context.Context, id string) (*clients.Client, error) {
	if client := f.clients[id]; client != nil {
		return client, nil
	}
	return nil, clients.ErrUnknownClient
}

// heap is how many octets are live.
func heap() int64 {
	var stats runtime.MemStats
	for range 2 { // what the first one frees may have kept other things alive
		runtime.GC()
	}
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// Who sends ids costs no more memory than the bounds allow, and pushes out no client when nobody has them. An id is a part
// of the request that it came in, as the values of a form are. Not parallel: it measures.
func TestMemory(t *testing.T) {
	rows := []struct {
		name   string
		prefix string
		size   int // of the cache
		ids    int
		octets int   // of each request
		held   int   // clients, afterwards
		most   int64 // octets that it may cost
	}{
		{"100,000 strangers", "stranger", 100, 100_000, 64, 1, 1 << 20},
		{"strangers with long requests", "stranger", 500, 2000, 64 << 10, 1, 2 << 20},
		{"clients with long requests", "client", 500, 2000, 64 << 10, 500, 2 << 20},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			for i := range 2000 {
				w.db.put(named(fmt.Sprint("client", i), "it"))
			}
			w.open(sized(row.size), func(cfg *cache.Config) { cfg.Store = forgetful{w.db} })
			w.wants("client0", "it")
			before := heap()
			for i := range row.ids {
				request := fmt.Sprint(row.prefix, i, "&", strings.Repeat("x", row.octets))
				id, _, _ := strings.Cut(request, "&")
				if _, err := w.Client(t.Context(), id); err != nil && !errors.Is(err, clients.ErrUnknownClient) {
					t.Fatal(err)
				}
			}
			if grown := heap() - before; grown > row.most {
				t.Errorf("%d ids cost %d octets, at most %d may be", row.ids, grown, row.most)
			}
			if n := w.Len(); n != row.held {
				t.Errorf("%d clients are held, want %d", n, row.held)
			}
			runtime.KeepAlive(w)
		})
	}
}
