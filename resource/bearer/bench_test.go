package bearer_test

import (
	"testing"

	"example.com/signet/resource/bearer"
)

// For scripts/bench.sh: the whole middleware, on a request with a token that was seen before.
func BenchmarkMiddleware(b *testing.B) {
	as := newGuarded(b)
	as = as.with("Authorization", "Bearer "+as.request.Header.Get("Token"))
	for name, g := range map[string]*guarded{
		"seen-before":           newGuarded(b),
		"seen-before-and-scope": newGuarded(b, bearer.RequireScope("orders:read")),
		"seen-before-as-bearer": as,
	} {
		b.Run(name, func(b *testing.B) { g.bench(b, 1) })
	}
}

// What anybody can send without a key must stay cheap, answer included.
func BenchmarkRefuse(b *testing.B) {
	g := newGuarded(b)
	token := g.request.Header.Get("Token")
	for name, g := range map[string]*guarded{
		"none":      g.with(),
		"two":       g.with("Token", token, "Token", token),
		"form":      g.with("Token", "x"),
		"signature": g.with("Token", token[:len(token)-4]+"AAAA"),
		"scope":     newGuarded(b, bearer.RequireScope("admin")),
	} {
		b.Run(name, func(b *testing.B) { g.bench(b, 0) })
	}
}

// bench serves the request again and again; each time share requests go through.
func (g *guarded) bench(b *testing.B, share int) {
	before := *g.let
	b.ReportAllocs()
	for b.Loop() {
		g.serve()
	}
	if n := *g.let - before; n != share*b.N {
		b.Errorf("%d of %d requests went through", n, b.N)
	}
}
