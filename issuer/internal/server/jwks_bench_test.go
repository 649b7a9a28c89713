package server_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"example.com/signet/issuer/internal/server"
	"example.com/signet/keys/keystest"
)

// bareJWKS are handlers that write what the issuer's writes, without any logic.
func bareJWKS(body []byte, etag string) (full, notModified http.HandlerFunc) {
	headers := func(h http.Header) {
		h["Content-Type"] = []string{"application/jwk-set+json"}
		h["Cache-Control"] = []string{"public, max-age=300"}
		h["Etag"] = []string{etag}
	}
	full = func(w http.ResponseWriter, _ *http.Request) {
		headers(w.Header())
		w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
		_, _ = w.Write(body)
	}
	notModified = func(w http.ResponseWriter, _ *http.Request) {
		headers(w.Header())
		w.WriteHeader(http.StatusNotModified)
	}
	return full, notModified
}

// jwksUnderTest returns the issuer's handler and what it writes.
func jwksUnderTest(t testing.TB) (handler http.Handler, body []byte, etag string) {
	t.Helper()
	s := &site{clock: keystest.NewClock(), log: &buffer{}}
	cfg := s.config(t)
	cfg.Now = s.clock.Now
	handler = server.JWKSHandler(cfg)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, jwks, nil))
	return handler, w.Body.Bytes(), w.Header().Get("ETag")
}

// blank is a ResponseWriter that keeps nothing.
type blank struct{ header http.Header }

func (b blank) Header() http.Header         { return b.header }
func (b blank) Write(p []byte) (int, error) { return len(p), nil }
func (b blank) WriteHeader(int)             {}

// Saying that nothing has changed costs no allocation that a handler without logic does not have.
func TestJWKSAllocations(t *testing.T) {
	handler, body, etag := jwksUnderTest(t)
	_, bare := bareJWKS(body, etag)
	req := httptest.NewRequest(http.MethodGet, jwks, nil)
	req.Header.Set("If-None-Match", etag)
	count := func(h http.Handler) float64 {
		w := blank{make(http.Header, 8)}
		return testing.AllocsPerRun(1000, func() { h.ServeHTTP(w, req) })
	}
	if ours, theirs := count(handler), count(bare); ours > theirs {
		t.Errorf("%v allocations, without logic %v", ours, theirs)
	}
}

// Both over HTTP on one connection, in pairs; scripts/bench.sh runs them in turn.
func BenchmarkJWKS(b *testing.B) {
	handler, body, etag := jwksUnderTest(b)
	bare, bare304 := bareJWKS(body, etag)
	rows := []struct {
		name, etag string
		handler    http.Handler
	}{
		{"200/signet", "", handler},
		{"200/bare", "", bare},
		{"304/signet", etag, handler},
		{"304/bare", etag, bare304},
	}
	for _, row := range rows {
		b.Run(row.name, func(b *testing.B) { loop(b, row.handler, row.etag) })
	}
}

// loop sends requests one after another on one connection.
func loop(b *testing.B, handler http.Handler, etag string) {
	site := httptest.NewServer(handler)
	defer site.Close()
	req, err := http.NewRequest(http.MethodGet, site.URL+jwks, nil)
	if err != nil {
		b.Fatal(err)
	}
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	client := site.Client()
	b.ReportAllocs()
	for b.Loop() {
		resp, err := client.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			b.Fatal(err)
		}
		_ = resp.Body.Close()
	}
}
