package server

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"
)

// exchange is a request and its answer, as the log tells of it. It stands in for the ResponseWriter on the way through the
// handlers.
type exchange struct {
	http.ResponseWriter
	id      string // of our own making: one that the caller sent would let callers write into the log
	started time.Time
	remote  netip.Addr // invalid when it is not known
	status  int
	octets  int
	audited bool // the audit trail has it, with all that the access log would say
}

// Unwrap is for [http.ResponseController].
func (e *exchange) Unwrap() http.ResponseWriter { return e.ResponseWriter }

func (e *exchange) WriteHeader(status int) {
	if e.status == 0 {
		e.status = status
	}
	e.ResponseWriter.WriteHeader(status)
}

func (e *exchange) Write(p []byte) (int, error) {
	if e.status == 0 {
		e.status = http.StatusOK
	}
	n, err := e.ResponseWriter.Write(p)
	e.octets += n
	return n, err
}

// exchangeOf returns the exchange that w is; a new one where no middleware has made one.
func exchangeOf(w http.ResponseWriter) *exchange {
	if e, ok := w.(*exchange); ok {
		return e
	}
	return &exchange{ResponseWriter: w, started: time.Now()}
}

// from is the address that the request comes from, for the log; "" when it is not known.
func (e *exchange) from() string {
	if !e.remote.IsValid() {
		return ""
	}
	return e.remote.String()
}

// track gives each request an id, in the answer and in every line of the log about it, and writes one line for each. The
// query is left out: a careless client may put a secret there. What is in the audit trail needs no second line.
func track(log *slog.Logger, proxies Proxies) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			e := &exchange{ResponseWriter: w, id: rand.Text(), started: time.Now(), remote: proxies.addressOf(r)}
			w.Header()["X-Request-Id"] = []string{e.id}
			next.ServeHTTP(e, r)
			if !e.audited {
				log.LogAttrs(r.Context(), slog.LevelInfo, "request",
					slog.String("method", methodOf(r)),
					slog.String("path", r.URL.Path[:min(len(r.URL.Path), maxLoggedPath)]),
					slog.Int("status", e.status),
					slog.Int("octets", e.octets),
					slog.Int64("duration_us", time.Since(e.started).Microseconds()),
					slog.String("remote", e.from()),
					slog.String("request_id", e.id))
			}
		})
	}
}

const maxLoggedPath = 256 // octets; none of ours is longer

// methodOf is the request's method if there is such a one (RFC 9110 §9), for the log: a caller may make up others.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return r.Method
	}
	return "other"
}

// recoverer turns a panic into a 500 and a line in the log, without the request in it.
func recoverer(log *slog.Logger) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				if cause := recover(); cause != nil {
					logPanic(log, exchangeOf(w), r, cause)
					writeRefusal(w, refusalOf(errPanic))
				}
			}()
			next.ServeHTTP(w, r)
		})
	}
}

var errPanic = errors.New("panic")

// logPanic says where it came from. What net/http uses to cut a connection off goes on.
func logPanic(log *slog.Logger, e *exchange, r *http.Request, cause any) {
	if cause == http.ErrAbortHandler {
		panic(cause)
	}
	log.ErrorContext(r.Context(), "panic", "cause", cause, "stack", string(debug.Stack()), "request_id", e.id)
}
