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
	"sync/atomic"
	"syscall"
	"time"

	"example.com/signet/resource/verify"
)

var errStopping = errors.New("stopping")

// serve opens the listeners and serves until ctx ends.
func serve(ctx context.Context, s settings, stderr io.Writer) error {
	log := newLog(s, stderr)
	verifier, err := verify.New(verify.Config{
		Issuer:   s.issuer,
		Audience: s.audience,
		JWKSURL:  s.jwksURL,
		Leeway:   noneIfZero(s.leeway),

		MinRefresh: s.minRefresh,
		Cooldown:   s.cooldown,
		Log:        log,
	})
	if err != nil {
		return &usageError{err, "check --issuer, --audience and --jwks-url"}
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
		log.Warn("INSECURE: serving plain HTTP; whoever can read the network reads tokens and can use them")
	}
	log.Info("resource server serves", "listen", public.Addr().String(), "private_listen", private.Addr().String(),
		"issuer", s.issuer, "audience", s.audience)
	err = serveAll(ctx, log, s.shutdownGrace, func() { stopping.Store(true) }, map[net.Listener]http.Handler{
		public:  publicRoutes(verifier, log),
		private: privateRoutes(ready),
	})
	log.Info("resource server stopped")
	return err
}

// noneIfZero turns the setting "no leeway" into what the library takes for it.
func noneIfZero(leeway time.Duration) time.Duration {
	if leeway == 0 {
		return -1
	}
	return leeway
}

// serveAll serves until ctx ends or a server fails, then lets the requests in flight finish.
func serveAll(ctx context.Context, log *slog.Logger, grace time.Duration, stopping func(),
	sites map[net.Listener]http.Handler) error {
	failed := make(chan error, len(sites))
	var servers []*http.Server
	for listener, handler := range sites {
		server := &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       10 * time.Second,
			WriteTimeout:      10 * time.Second,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    32 << 10,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		}
		servers = append(servers, server)
		go func() { failed <- server.Serve(listener) }()
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
		}
	}
	return cause
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
