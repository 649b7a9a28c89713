package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/issuer/internal/server"
)

// maxSpentIDs bounds the memory of client assertions, about 100 octets each, that have not expired yet.
const maxSpentIDs = 1_000_000

// serve reads keys and registry, opens the listeners, and serves until ctx ends.
func serve(ctx context.Context, s *config.Settings, stderr io.Writer) error {
	log := newLog(s, stderr)
	p, err := assemble(s, log)
	if err != nil {
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
	return p.serveOn(ctx, s, log, public, private)
}

func (p *parts) serveOn(ctx context.Context, s *config.Settings, log *slog.Logger, public, private net.Listener) error {
	endpoint, err := oauth.New(oauth.Config{
		Issuer:   s.Issuer,
		Registry: p.registry,
		Keys:     p.keeper,
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
		Ring:   p.keeper.Ring,
		MaxAge: s.JWKSMaxAge,
		Ready: func() error {
			if stopping.Load() {
				return server.ErrStopping
			}
			return p.checkSigners()
		},
		Survey:  p.keeper.Survey,
		Trouble: p.keeper.Trouble,
		Log:     log,
	}
	handler, err := server.Public(cfg)
	if err != nil {
		return err
	}
	if s.InsecureHTTP {
		log.Warn("INSECURE: serving plain HTTP; whoever can read the network reads secrets and tokens")
	}
	stopKeeper := p.keep(ctx)
	defer stopKeeper()
	log.Info("issuer serves", "issuer", s.Issuer, "listen", public.Addr().String(), "private_listen", private.Addr().String())
	err = server.Serve(ctx, log, s.ShutdownGrace, func() { stopping.Store(true) },
		server.Site{Listener: public, Handler: handler},
		server.Site{Listener: private, Handler: server.Private(cfg)})
	log.Info("issuer stopped")
	return err
}

// keep runs the keeper, which looks at the keys at once when SIGHUP comes. What it returns ends it and waits for it.
func (p *parts) keep(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.keeper.Run(ctx, hup)
	}()
	return func() {
		signal.Stop(hup)
		cancel()
		<-ended
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
		return nil, &usageError{fmt.Errorf("%s: %w", setting, err), ""}
	}
	return listener, nil
}
