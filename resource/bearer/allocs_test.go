package bearer_test

import (
	"net/http"
	"testing"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/bearer"
	"example.com/signet/resource/verify"
	"example.com/signet/resource/verify/verifytest"
)

// sink is a ResponseWriter that costs nothing. Between two requests it is emptied, not made anew.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(int)             {}

// guarded is a guard with a real verifier before a handler that does nothing, and a request with a good token that the
// verifier has seen before.
type guarded struct {
	handler http.Handler
	request *http.Request
	w       *sink
	let     *int // how many requests went through
}

func newGuarded(t testing.TB, inner ...func(http.Handler) http.Handler) *guarded {
	t.Helper()
	stage := verifytest.NewStage(t, verify.Config{})
	g := &guarded{w: &sink{header: make(http.Header)}, let: new(int)}
	var next http.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { *g.let++ })
	for _, middleware := range inner {
		next = middleware(next)
	}
	g.handler = bearer.IsAuthorized(stage.Verifier)(next)
	claims := keystest.AccessClaims(stage.Issuer.Issuer(), keystest.Audience, stage.Clock.Now())
	g.request = question("", "Token", keystest.AccessToken(keystest.ES256, claims))
	for range 3 { // the first time need not be remembered
		g.serve()
	}
	return g
}

func (g *guarded) serve() {
	clear(g.w.header)
	g.handler.ServeHTTP(g.w, g.request)
}

// with returns the same with other headers.
func (g *guarded) with(headers ...string) *guarded {
	other := *g
	other.request = question("", headers...)
	return &other
}

// The whole of what the guard adds to a request whose token was seen before: one context with all in it, and the
// request that carries it.
func TestMiddlewareAllocations(t *testing.T) {
	for name, g := range map[string]*guarded{
		"IsAuthorized":     newGuarded(t),
		"and RequireScope": newGuarded(t, bearer.RequireScope("orders:read")),
	} {
		t.Run(name, func(t *testing.T) {
			before := *g.let
			if n := testing.AllocsPerRun(1000, g.serve); n > 2 {
				t.Errorf("%v allocations, at most 2", n)
			}
			if *g.let-before != 1001 {
				t.Errorf("%d of 1001 requests went through", *g.let-before)
			}
			result := testing.Benchmark(func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					g.serve()
				}
			})
			if n := result.AllocedBytesPerOp(); n > 400 {
				t.Errorf("%d octets, at most 400", n)
			}
			t.Logf("%v, %d allocations, %d octets", result, result.AllocsPerOp(), result.AllocedBytesPerOp())
		})
	}
}
