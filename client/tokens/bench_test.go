package tokens_test

import (
	"net/http"
	"testing"
)

// BenchmarkToken is a call with the token at hand, which is nearly every call.
func BenchmarkToken(b *testing.B) {
	cfg := config(b, newIssuer(b))
	source := newSource(b, cfg)
	wantToken(b, source, "token-1")
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := source.Token(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		ctx := b.Context()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := source.Token(ctx); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

type discard struct{}

func (discard) RoundTrip(*http.Request) (*http.Response, error) { return answered, nil }

var answered = &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}

// BenchmarkTransport is what the transport adds to a request.
func BenchmarkTransport(b *testing.B) {
	cfg := config(b, newIssuer(b))
	cfg.Origin = "https://orders.example.com"
	transport := newSource(b, cfg).Transport(discard{})
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "https://orders.example.com/orders", nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := transport.RoundTrip(req); err != nil {
			b.Fatal(err)
		}
	}
}
