package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"example.com/signet/resource/bearer"
	"example.com/signet/resource/verify"
)

// publicRoutes is the protected API.
func publicRoutes(verifier *verify.Verifier, log *slog.Logger) http.Handler {
	guard := bearer.Guard{
		Verifier: verifier,
		Refused: func(r *http.Request, reason error) {
			log.WarnContext(r.Context(), "request refused", "cause", reason, "request_id", requestIDOf(r))
		},
	}
	r := chi.NewRouter()
	r.Use(requestID, logRequests(log), guard.IsAuthorized)
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

// privateRoutes is health, for the operator.
func privateRoutes(ready func() error) http.Handler {
	r := chi.NewRouter()
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

// logRequests writes one line for each request. The query is left out: a careless client may put a token there.
func logRequests(log *slog.Logger) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			wrapped := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
			next.ServeHTTP(wrapped, r)
			log.InfoContext(r.Context(), "request",
				"method", r.Method,
				"path", r.URL.Path,
				"status", wrapped.Status(),
				"seconds", time.Since(start).Seconds(),
				"request_id", requestIDOf(r))
		})
	}
}
