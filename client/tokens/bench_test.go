package tokens_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"example.com/signet/client/tokens"
)

// benchSource is a source that has its token already.
func benchSource(tb testing.TB) *tokens.Source {
	tb.Helper()
	token, err := tokens.NewToken("token", time.Now().Add(24*time.Hour), "")
	if err != nil {
		tb.Fatal(err)
	}
	return newSource(tb, tokens.Config{
		Issuer:     "https://issuer.example.com",
		ClientID:   "billing",
		Credential: tokens.Secret("secret"),
		Origin:     "https://orders.example.com",
		Header:     tokens.AuthorizationHeader,
		Initial:    token,
	})
}

// reuse is what x/oauth2 has for the same.
func reuse() oauth2.TokenSource {
	return oauth2.ReuseTokenSource(&oauth2.Token{AccessToken: "token", Expiry: time.Now().Add(24 * time.Hour)}, nil)
}

// bare is the least that a token with an end can cost.
type bare struct{ current atomic.Pointer[oauth2.Token] }

func newBare() *bare {
	b := &bare{}
	b.current.Store(&oauth2.Token{AccessToken: "token", Expiry: time.Now().Add(24 * time.Hour)})
	return b
}

func (b *bare) Token() *oauth2.Token {
	token := b.current.Load()
	if !time.Now().Before(token.Expiry) {
		return nil
	}
	return token
}

// contender is one of those that hand out a token.
type contender struct {
	name string
	call func() bool
}

func contenders(tb testing.TB) []contender {
	tb.Helper()
	source, other, least := benchSource(tb), reuse(), newBare()
	ctx := context.Background()
	return []contender{
		{"signet", func() bool { _, err := source.Token(ctx); return err == nil }},
		{"bare", func() bool { return least.Token() != nil }},
		{"oauth2", func() bool { _, err := other.Token(); return err == nil }},
	}
}

// BenchmarkToken is a call with the token at hand, which is nearly every call, beside x/oauth2 and the bare work.
func BenchmarkToken(b *testing.B) {
	for _, bench := range contenders(b) {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !bench.call() {
					b.Fatal("no token")
				}
			}
		})
	}
}

// BenchmarkTokenShared is the same from as many goroutines as there are processors: they must not hinder one another.
func BenchmarkTokenShared(b *testing.B) {
	for _, bench := range contenders(b) {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if !bench.call() {
						b.Error("no token")
						return
					}
				}
			})
		})
	}
}

type discard struct{}

func (discard) RoundTrip(*http.Request) (*http.Response, error) { return answered, nil }

var answered = &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}

// setHeader is the least that a transport can do without changing the request.
type setHeader struct{ base http.RoundTripper }

func (s setHeader) RoundTrip(req *http.Request) (*http.Response, error) {
	signed := req.Clone(req.Context())
	signed.Header.Set("Authorization", "Bearer token")
	return s.base.RoundTrip(signed)
}

// BenchmarkTransport is what a transport adds to a request.
func BenchmarkTransport(b *testing.B) {
	for _, bench := range []struct {
		name      string
		transport http.RoundTripper
	}{
		{"signet", benchSource(b).Transport(discard{})},
		{"bare", setHeader{discard{}}},
		{"oauth2", &oauth2.Transport{Source: reuse(), Base: discard{}}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "https://orders.example.com/orders", nil)
			if err != nil {
				b.Fatal(err)
			}
			req.Header.Set("Accept", "application/json")
			req.Header.Set("User-Agent", "billing/1.0")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bench.transport.RoundTrip(req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
