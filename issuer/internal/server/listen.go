package server

import (
	"context"
	"crypto/tls"
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
	TLS      *tls.Config // nil: plain HTTP
}

// Stop says how to stop: announce it, serve on for Delay while whoever sends requests here notices, and then let those in
// flight finish for at most Grace.
type Stop struct {
	Announce     func()
	Delay, Grace time.Duration
}

// Serve serves all sites until ctx ends or one of them fails, and then stops as it is told, cutting off what does not
// finish in time. The last site, the operator's, answers until all others have stopped. It returns nil after a clean stop.
func Serve(ctx context.Context, log *slog.Logger, stop Stop, sites ...Site) error {
	failed := make(chan error, len(sites))
	var servers []*http.Server
	for _, site := range sites {
		server := newServer(site, log)
		servers = append(servers, server)
		go func() { failed <- serve(server, site) }()
	}
	var cause error
	select {
	case <-ctx.Done():
	case cause = <-failed:
	}
	stop.Announce()
	if cause == nil {
		cause = wait(stop.Delay, failed)
	}
	graceful, cancel := context.WithTimeout(context.WithoutCancel(ctx), stop.Grace)
	defer cancel()
	for _, server := range servers {
		if err := server.Shutdown(graceful); err != nil {
			cause = errors.Join(cause, fmt.Errorf("stopping: %w", err))
			_ = server.Close() // cuts off what did not finish in time
		}
	}
	return cause
}

func newServer(site Site, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           site.Handler,
		TLSConfig:         site.TLS,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

func serve(server *http.Server, site Site) error {
	if site.TLS != nil {
		return server.ServeTLS(site.Listener, "", "")
	}
	return server.Serve(site.Listener)
}

// wait returns after d, or at once with the error of a server that fails meanwhile.
func wait(d time.Duration, failed <-chan error) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case err := <-failed:
		return err
	case <-timer.C:
		return nil
	}
}
