// Package loopback serves HTTP to the programs of this machine, and to no page in a browser on it: whoever reaches such
// a server acts as this client.
package loopback

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// ErrAddress is an address that other machines could reach.
var ErrAddress = errors.New("not loopback")

const shutdownGrace = 10 * time.Second

// Server is what to serve, and how long a request may take. Handlers of streams set deadlines of their own.
type Server struct {
	Handler http.Handler
	Timeout time.Duration // to write an answer
	Log     *slog.Logger
}

// Listen opens an address of this machine alone. Another one is an [ErrAddress].
func Listen(ctx context.Context, address string) (net.Listener, error) {
	if !Is(address) {
		return nil, ErrAddress
	}
	return new(net.ListenConfig).Listen(ctx, "tcp", address)
}

// Serve answers until ctx ends, and then until the requests that are under way have been answered, or for ten seconds.
func (s Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           guard(s.Handler),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      s.Timeout,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	graceful, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	err := server.Shutdown(graceful)
	if errors.Is(err, context.DeadlineExceeded) {
		s.Log.Warn("requests were cut off at the end", "after", shutdownGrace)
		return server.Close()
	}
	return err
}

// guard keeps out what does not come from a program of this machine. A page could have its own name resolved to
// 127.0.0.1, or send requests to that address: the Host gives the one away, the browser's own headers the other.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !Is(r.Host):
			http.Error(w, "this address is for programs on this machine only", http.StatusMisdirectedRequest)
		case isForeignPage(r):
			http.Error(w, "this address is for programs, not for pages of other sites", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// isForeignPage reports whether a browser sends the request for a page of another site (Fetch Metadata, and for older
// browsers RFC 6454 §7).
func isForeignPage(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
	default:
		return true
	}
	for _, origin := range r.Header["Origin"] {
		u, err := url.Parse(origin)
		if err != nil || u.Host != r.Host {
			return true
		}
	}
	return false
}

// Is reports whether address, a host with or without a port, is this machine's own.
func Is(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(address, "["), "]")
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}
