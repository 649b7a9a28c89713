package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Timeouts of every connection. A token request is small and answered in milliseconds, so they can be short.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10
)

// Site is a handler and the listener, already open, that it is served on.
type Site struct {
	Listener net.Listener
	Handler  http.Handler
}

// Serve serves all sites until ctx ends or one of them fails. Then it calls stopping, lets the requests in flight finish
// for at most grace, cuts off those that do not, and returns: nil after a clean stop.
func Serve(ctx context.Context, log *slog.Logger, grace time.Duration, stopping func(), sites ...Site) error {
	failed := make(chan error, len(sites))
	var servers []*http.Server
	for _, site := range sites {
		server := &http.Server{
			Handler:           site.Handler,
			ReadHeaderTimeout: readHeaderTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		}
		servers = append(servers, server)
		go func() { failed <- server.Serve(site.Listener) }()
	}
	var cause error
	select {
	case <-ctx.Done():
	case cause = <-failed:
	}
	stopping()
	graceful, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	for _, server := range servers {
		if err := server.Shutdown(graceful); err != nil {
			cause = errors.Join(cause, fmt.Errorf("stopping: %w", err))
			_ = server.Close() // cuts off what did not finish in time
		}
	}
	return cause
}
