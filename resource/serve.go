package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"example.com/signet/resource/bearer"
	"example.com/signet/resource/internal/proxy"
	"example.com/signet/resource/verify"
)

var errStopping = errors.New("stopping")

// serve opens the listeners and serves until ctx ends.
func serve(ctx context.Context, s settings, stderr io.Writer) error {
	log := newLog(s, stderr)
	metrics := newMetrics(s.issuers)
	verifier, err := newVerifier(s, metrics, log)
	if err != nil {
		return &usageError{err, "check --issuer, --audience, --jwks-url and --jwks-file"}
	}
	defer verifier.Close()
	public, err := listen(ctx, "--listen", s.listen)
	if err != nil {
		return err
	}
	defer public.Close()
	private, err := listen(ctx, "--private-listen", s.privateListen)
	if err != nil {
		return err
	}
	defer private.Close()
	var stopping atomic.Bool
	ready := func() error {
		if stopping.Load() {
			return errStopping
		}
		return verifier.Ready()
	}
	if s.insecureHTTP {
		log.Warn("INSECURE: plain HTTP beyond loopback; whoever can read the network reads tokens and can use them")
	}
	log.Info("resource server serves", "listen", public.Addr().String(), "private_listen", private.Addr().String(),
		"issuer", strings.Join(s.issuers, " "), "audience", s.audience, "upstream", s.upstream)
	how := stop{announce: func() { stopping.Store(true) }, delay: s.shutdownDelay, grace: s.shutdownGrace}
	err = serveAll(ctx, log, how, []served{
		{public, newSite(s, verifier, metrics, log).publicRoutes()},
		{private, privateRoutes(ready, metrics.handler())},
	})
	log.Info("resource server stopped")
	return err
}

func newVerifier(s settings, m *metrics, log *slog.Logger) (*verify.Verifier, error) {
	cfg := s.verifier()
	cfg.Log = log
	cfg.OnVerify = func(_ context.Context, outcome verify.Outcome) { m.onVerify(outcome) }
	cfg.OnFetch = m.onFetch
	return verify.New(cfg)
}

func newSite(s settings, verifier bearer.Verifier, m *metrics, log *slog.Logger) site {
	// An audience that is no URL is fine for tokens; it only has no metadata.
	metadata, _ := bearer.NewMetadata(bearer.MetadataConfig{
		Resource: s.audience, AuthorizationServers: s.issuers, Scopes: s.scopes(),
	})
	at := site{verifier: verifier, metadata: metadata, scopes: s.scopes(), identity: s.identity(), metrics: m, log: log}
	if upstream := s.upstreamURL(); upstream != nil {
		at.upstream = proxy.New(proxy.Config{
			Upstream: upstream,
			Headers:  s.identity(),
			MaxBody:  s.maxBody,
			Timeout:  s.timeout,
			Patience: s.timeout,
			Log:      log,
			ID:       requestIDOf,
		})
	}
	return at
}

// served is a handler and the listener, already open, that it is served on.
type served struct {
	listener net.Listener
	handler  http.Handler
}

// stop says how to stop: announce it, serve on for delay while whoever sends requests here notices, and then let those
// in flight finish for at most grace.
type stop struct {
	announce     func()
	delay, grace time.Duration
}

// serveAll serves until ctx ends or a server fails, and then stops as it is told. The last site, the operator's,
// answers until all others have stopped.
func serveAll(ctx context.Context, log *slog.Logger, how stop, sites []served) error {
	failed := make(chan error, len(sites))
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut() // ends what Shutdown knows nothing of: WebSockets
	var servers []*http.Server
	for _, site := range sites {
		server := newServer(site.handler, log)
		server.BaseContext = func(net.Listener) context.Context { return base }
		servers = append(servers, server)
		go func() { failed <- server.Serve(site.listener) }()
	}
	var cause error
	select {
	case <-ctx.Done():
	case cause = <-failed:
	}
	how.announce()
	if cause == nil {
		cause = wait(how.delay, failed)
	}
	graceful, cancel := context.WithTimeout(context.WithoutCancel(ctx), how.grace)
	defer cancel()
	for _, server := range servers {
		if err := server.Shutdown(graceful); err != nil {
			cause = errors.Join(cause, fmt.Errorf("stopping: %w", err))
			_ = server.Close() // cuts off what did not finish in time
		}
	}
	return cause
}

// newServer has limits for every connection. What is passed on to an application extends them as it flows.
func newServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
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

func listen(ctx context.Context, setting, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &usageError{
			fmt.Errorf("%s: another program listens on %s", setting, address),
			"stop it, or choose another address with " + setting}
	}
	if err != nil {
		return nil, &usageError{fmt.Errorf("%s: %w", setting, err), "choose another address with " + setting}
	}
	return listener, nil
}

// newLog writes text for people at a terminal, JSON for machines elsewhere.
func newLog(s settings, stderr io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: s.logLevel}
	if s.logFormat == "text" || (s.logFormat == "auto" && isTerminal(stderr)) {
		return slog.New(slog.NewTextHandler(stderr, options))
	}
	return slog.New(slog.NewJSONHandler(stderr, options))
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
