package store_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"example.com/signet/issuer/internal/store"
	"example.com/signet/keys/keystest/pgtest"
)

// benchOnBoth measures on each of the databases, with the bare round trip beside it.
func benchOnBoth(b *testing.B, prepare func(*testing.B, *store.Store), measured func(*testing.B, *store.Store, *testing.PB)) {
	bare := func(b *testing.B, s *store.Store, pb *testing.PB) {
		for pb.Next() {
			if err := s.RoundTrip(b.Context()); err != nil {
				b.Error(err)
			}
		}
	}
	for _, database := range []struct {
		name string
		url  func(*testing.B) string
	}{
		{"sqlite", func(b *testing.B) string { return "sqlite:" + filepath.Join(b.TempDir(), "issuer.db") }},
		{"postgres", func(b *testing.B) string { return pgtest.Shared(b).NewDatabase(b) }},
	} {
		b.Run(database.name, func(b *testing.B) {
			s, err := store.Open(b.Context(), store.Config{
				URL: database.url(b), Migrate: true, Waiting: 1 << 20, Log: slog.New(slog.DiscardHandler),
			})
			must(b, err)
			b.Cleanup(func() { _ = s.Close() })
			prepare(b, s)
			b.Run("bare", func(b *testing.B) { inParallel(b, s, bare) })
			b.Run("store", func(b *testing.B) { inParallel(b, s, measured) })
		})
	}
}

// inParallel measures with as many at once as an issuer under load has.
func inParallel(b *testing.B, s *store.Store, measured func(*testing.B, *store.Store, *testing.PB)) {
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) { measured(b, s, pb) })
}

// Spending an id costs a round trip, which those that come at once share.
func BenchmarkSpend(b *testing.B) {
	var serial atomic.Int64
	until := time.Now().Add(time.Hour)
	benchOnBoth(b, func(*testing.B, *store.Store) {}, func(b *testing.B, s *store.Store, pb *testing.PB) {
		for pb.Next() {
			if first, err := s.Spend(b.Context(), "billing", fmt.Sprint(serial.Add(1)), until); !first || err != nil {
				b.Error(first, err)
			}
		}
	})
}

// Looking a client up is what a token costs whose client is not held.
func BenchmarkClient(b *testing.B) {
	benchOnBoth(b, func(b *testing.B, s *store.Store) {
		must(b, s.AddResource(b.Context(), newResource(orders, "read")))
		must(b, s.AddClient(b.Context(), newClient("billing", orders, "read")))
	}, func(b *testing.B, s *store.Store, pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Client(b.Context(), "billing"); err != nil {
				b.Error(err)
			}
		}
	})
}
