package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/issuer/internal/server"
	"example.com/signet/keys"
)

// maxSpentIDs bounds the memory of client assertions, about 100 octets each, that have not expired yet.
const maxSpentIDs = 1_000_000

// serve reads keys and registry, opens the listeners, and serves until ctx ends.
func serve(ctx context.Context, s *config.Settings, stderr io.Writer) error {
	log := newLog(s, stderr)
	ring, err := readRing(s)
	if err != nil {
		return err
	}
	registry, err := readRegistry(s, log)
	if err != nil {
		return err
	}
	if err := checkSigners(ring, registry); err != nil {
		return err
	}
	public, err := listen(ctx, "--listen", s.Listen)
	if err != nil {
		return err
	}
	defer public.Close()
	private, err := listen(ctx, "--private-listen", s.PrivateListen)
	if err != nil {
		return err
	}
	defer private.Close()
	if s.Issuer == "" {
		s.Issuer = "http://" + public.Addr().String()
	}
	return serveOn(ctx, s, log, ring, registry, public, private)
}

func serveOn(ctx context.Context, s *config.Settings, log *slog.Logger, ring *keys.Ring, registry *clients.Registry,
	public, private net.Listener) error {
	endpoint, err := oauth.New(oauth.Config{
		Issuer:   s.Issuer,
		Registry: registry,
		Keys:     ring,
		Spent:    oauth.NewMemorySpent(maxSpentIDs, time.Now),
		Leeway:   s.Leeway,
	})
	if err != nil {
		return err
	}
	var stopping atomic.Bool
	cfg := server.Config{
		Issuer: s.Issuer,
		Token:  endpoint.Token,
		Keys:   ring,
		MaxAge: s.JWKSMaxAge,
		Ready: func() error {
			if stopping.Load() {
				return server.ErrStopping
			}
			return checkSigners(ring, registry)
		},
		Log: log,
	}
	handler, err := server.Public(cfg)
	if err != nil {
		return err
	}
	if s.InsecureHTTP {
		log.Warn("INSECURE: serving plain HTTP; whoever can read the network reads secrets and tokens")
	}
	log.Info("issuer serves", "issuer", s.Issuer, "listen", public.Addr().String(), "private_listen", private.Addr().String())
	err = server.Serve(ctx, log, s.ShutdownGrace, func() { stopping.Store(true) },
		server.Site{Listener: public, Handler: handler},
		server.Site{Listener: private, Handler: server.Private(cfg)})
	log.Info("issuer stopped")
	return err
}

func readRing(s *config.Settings) (*keys.Ring, error) {
	ring, err := keys.ReadRing(s.KeysDir)
	if errors.Is(err, keys.ErrNoKeys) {
		return nil, &usageError{err, "make keys: scripts/genkeys.sh (or name their directory with --keys-dir)"}
	}
	if err != nil {
		return nil, &usageError{err, ""}
	}
	return ring, nil
}

// readRegistry reads the registry, or makes the one for development when there is none.
func readRegistry(s *config.Settings, log *slog.Logger) (*clients.Registry, error) {
	if s.Registry != "" {
		registry, err := clients.ReadFile(s.Registry)
		if err != nil {
			return nil, &usageError{err, ""}
		}
		return registry, nil
	}
	path := filepath.Join(filepath.Dir(s.KeysDir), "client", clients.DevelopmentClient+".pub.pem")
	key, err := keys.ReadPublicKey(path)
	if err != nil {
		return nil, &usageError{
			fmt.Errorf("reading the development client's key: %w", err),
			"make it: scripts/genkeys.sh (or name your clients in a file with --registry)"}
	}
	log.Warn("DEVELOPMENT registry: one client and one resource, not for use; --registry names your own",
		"client_id", clients.DevelopmentClient, "audience", clients.DevelopmentAudience, "client_key", path)
	return clients.Development(key)
}

// checkSigners reports whether each algorithm that a resource wants has a key that signs now.
func checkSigners(ring *keys.Ring, registry *clients.Registry) error {
	for _, alg := range registry.Algorithms() {
		if _, err := ring.Active(alg, time.Now()); err != nil {
			return &usageError{err, "make one: scripts/genkeys.sh --alg " + string(alg)}
		}
	}
	return nil
}

func listen(ctx context.Context, setting, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &usageError{
			fmt.Errorf("%s: another program listens on %s", setting, address),
			"stop it, or choose another address with " + setting}
	}
	if err != nil {
		return nil, &usageError{fmt.Errorf("%s: %w", setting, err), ""}
	}
	return listener, nil
}

// newLog writes text for people at a terminal, JSON for machines elsewhere.
func newLog(s *config.Settings, stderr io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: s.LogLevel}
	if s.LogFormat == "text" || (s.LogFormat == "auto" && isTerminal(stderr)) {
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
