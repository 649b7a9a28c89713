package server

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5/middleware"
)

type requestIDKey struct{}

// requestID gives each request an id of our own making, in the answer and in every line of the log about it. An id that
// the caller sends is not used: it would let callers write into the log.
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

// remoteOf is the address that a request comes from; "" when a proxy did not name one.
func remoteOf(r *http.Request) string { return middleware.GetClientIP(r.Context()) }

// logRequests writes one line for each request. The query is left out: a careless client may put a secret there.
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
				"octets", wrapped.BytesWritten(),
				"seconds", time.Since(start).Seconds(),
				"remote", remoteOf(r),
				"request_id", requestIDOf(r))
		})
	}
}

// recoverer turns a panic into a 500 and a line in the log, without the request in it.
func recoverer(log *slog.Logger) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				switch cause := recover(); cause {
				case nil:
				case http.ErrAbortHandler:
					panic(cause)
				default:
					log.ErrorContext(r.Context(), "panic", "cause", cause, "request_id", requestIDOf(r))
					http.Error(w, "internal error", http.StatusInternalServerError)
				}
			}()
			next.ServeHTTP(w, r)
		})
	}
}
