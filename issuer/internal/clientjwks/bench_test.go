package clientjwks_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"testing"

	"example.com/signet/issuer/internal/clientjwks"
	"example.com/signet/keys/keystest"
)

// What every token request with a jwks_uri pays: as many uris as are remembered, all young, the kid known.
func BenchmarkKeys(b *testing.B) {
	server := httptest.NewServer(&site{names: []string{keystest.ES256}, cacheControl: "max-age=3600"})
	b.Cleanup(server.Close)
	k := clientjwks.New(clientjwks.Config{Networks: loopback, Log: slog.New(slog.DiscardHandler)})
	b.Cleanup(k.Close)
	uris := make([]string, clientjwks.MaxSources)
	for i := range uris {
		uris[i] = fmt.Sprint(server.URL, "/clients/", i, "/jwks.json")
		get(b, k, uris[i], "", keystest.ES256)
	}
	id := kid(keystest.ES256)
	b.Run("one-caller", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			if _, err := k.Keys(b.Context(), uris[i%len(uris)], id); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
	b.Run("many-callers", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				if _, err := k.Keys(context.Background(), uris[i%len(uris)], id); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
