package verifying

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/bearer"
)

// The middleware around a handler that does nothing, with tokens that come again and again, as they do in a service.
func BenchmarkMiddleware(b *testing.B) {
	issuer := newIssuer(b)
	signet := bearer.IsAuthorized(openRemembering(b, issuer))
	auth0 := newAuth0Middleware(b, issuer)
	tokens := population(issuer, keystest.ES256, live)
	b.Run("signet", func(b *testing.B) { serve(b, signet, tokens) })
	b.Run("auth0-ES256", func(b *testing.B) { serve(b, auth0.CheckJWT, tokens) })
	b.Run("auth0-RS256", func(b *testing.B) { serve(b, auth0.CheckJWT, []string{genuine(issuer, keystest.RS256)}) })
}

// Both let a request through with a genuine token, and no other.
func TestMiddleware(t *testing.T) {
	issuer := newIssuer(t)
	token := genuine(issuer, keystest.ES256)
	for name, middleware := range map[string]func(http.Handler) http.Handler{
		"signet": bearer.IsAuthorized(openRemembering(t, issuer)),
		"auth0":  newAuth0Middleware(t, issuer).CheckJWT,
	} {
		rows := []struct {
			name, header string
			want         bool
		}{
			{"no token", "Basic Og==", false},
			{"wrong signature", "Bearer " + flipSignature(token), false},
			{"genuine", "Bearer " + token, true},
		}
		for _, row := range rows {
			c := new(counter)
			r := httptest.NewRequest(http.MethodGet, "/orders", nil)
			r.Header.Set("Authorization", row.header)
			w := httptest.NewRecorder()
			middleware(c).ServeHTTP(w, r)
			if (w.Code == http.StatusOK) != row.want || (c.served == 1) != row.want {
				t.Errorf("%s, %s: %d, served %d times", name, row.name, w.Code, c.served)
			}
		}
	}
}

// serve puts one request after the other through the middleware, each with the next token.
func serve(b *testing.B, middleware func(http.Handler) http.Handler, tokens []string) {
	headers := make([][]string, len(tokens))
	for i, token := range tokens {
		headers[i] = []string{"Bearer " + token}
	}
	c := new(counter)
	handler := middleware(c)
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/orders", nil)
	w := &writer{header: make(http.Header)}
	n := 0
	next := func() {
		r.Header["Authorization"] = headers[n%len(headers)]
		clear(w.header)
		handler.ServeHTTP(w, r)
		n++
	}
	for range tokens {
		next()
	}
	b.ReportAllocs()
	for b.Loop() {
		next()
	}
	if c.served != n {
		b.Fatalf("%d of %d requests were let through", c.served, n)
	}
}

// counter is the handler behind the middleware.
type counter struct{ served int }

func (c *counter) ServeHTTP(http.ResponseWriter, *http.Request) { c.served++ }

// writer is a ResponseWriter that costs next to nothing and can be used again.
type writer struct{ header http.Header }

func (w *writer) Header() http.Header         { return w.header }
func (w *writer) Write(p []byte) (int, error) { return len(p), nil }
func (w *writer) WriteHeader(int)             {}
