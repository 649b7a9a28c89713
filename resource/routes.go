package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"example.com/signet/resource/bearer"
)

// site is what the routes are made of.
type site struct {
	verifier bearer.Verifier
	metadata *bearer.Metadata // nil when the resource has none
	scopes   []string         // that every request needs
	identity bearer.IdentityHeaders
	upstream http.Handler // the application; nil is the demonstration
	metrics  *metrics
	log      *slog.Logger
}

// publicRoutes is what callers reach: what is open to all, and behind the guard everything else, there or not.
func (s site) publicRoutes() http.Handler {
	guard := bearer.Guard{Verifier: s.verifier, Metadata: s.metadata, Refused: s.refused}
	protected := s.protectedRoutes(guard)
	r := chi.NewRouter()
	r.Use(requestID, s.logRequests)
	if s.metadata != nil {
		r.Handle(s.metadata.Path(), s.metadata)
	}
	if s.upstream == nil {
		r.Handle("/verify", bearer.ForwardAuth{Guard: guard, Headers: s.identity})
	}
	r.NotFound(protected.ServeHTTP)
	r.MethodNotAllowed(protected.ServeHTTP)
	return r
}

func (s site) refused(r *http.Request, reason error) {
	s.log.WarnContext(r.Context(), "request refused", "cause", reason, "request_id", requestIDOf(r))
}

// protectedRoutes is the application, or the demonstration.
func (s site) protectedRoutes(guard bearer.Guard) http.Handler {
	rules := chi.Chain(guard.IsAuthorized)
	if len(s.scopes) > 0 {
		rules = append(rules, bearer.RequireScope(s.scopes...))
	}
	if s.upstream != nil {
		return rules.Handler(s.upstream)
	}
	r := chi.NewRouter()
	r.Use(rules...)
	r.Get("/", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("Super Secret Information\n"))
	})
	r.Get("/whoami", whoami)
	r.With(bearer.RequireScope("admin")).Get("/admin", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("Administrators Only\n"))
	})
	return r
}

// whoami answers with the verified claims.
func whoami(w http.ResponseWriter, r *http.Request) {
	claims, _ := bearer.ClaimsFrom(r.Context())
	var all map[string]any
	if err := claims.Decode(&all); err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(all)
}

// privateRoutes is health and metrics, for the operator.
func privateRoutes(ready func() error, metrics http.Handler) http.Handler {
	r := chi.NewRouter()
	r.Handle("/metrics", metrics)
	r.Get("/livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	r.Get("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
	return r
}

type requestIDKey struct{}

// requestID gives each request an id of our own making, in the answer and in every line of the log about it.
func requestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := rand.Text()
		w.Header().Set("X-Request-Id", id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

func requestIDOf(r *http.Request) string {
	id, _ := r.Context().Value(requestIDKey{}).(string)
	return id
}

// logRequests writes one line for each request, and counts it. The query is left out: a careless client may put a token
// there.
func (s site) logRequests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		wrapped := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		defer func() { // a proxied answer that breaks off panics, so that the caller sees it
			took := time.Since(start)
			status := cmp.Or(wrapped.Status(), http.StatusSwitchingProtocols) // no other answer goes past wrapped
			s.metrics.onRequest(status, took)
			s.log.InfoContext(r.Context(), "request",
				"method", r.Method,
				"path", r.URL.Path,
				"status", status,
				"duration_us", took.Microseconds(),
				"request_id", requestIDOf(r))
		}()
		next.ServeHTTP(wrapped, r)
	})
}
