package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"example.com/signet/issuer/internal/clientjwks"
	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/limit"
	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/issuer/internal/server"
	"example.com/signet/issuer/internal/store"
)

const (
	// Whose requests are counted at the same time: more clients than most registries have, and addresses enough that
	// somebody needs many networks to be forgotten.
	maxClients   = 1 << 18
	maxAddresses = 1 << 16

	// burst is how many seconds' worth of requests may come at once: a whole fleet starts at one moment.
	burst = 10
)

// How far the heap grows beyond what is live before it is collected, in percent: a token leaves ten kilobytes of garbage.
// What is live beside a database is small, and the process is to be so too; beside the clients of a large file, all of
// them live, the usual 100 would cost a tenth of the machine. GOGC and GOMEMLIMIT say otherwise.
const (
	gcPercentOfDatabase = 200
	gcPercentOfFile     = 400
)

func setGCPercent(s *config.Settings) {
	switch {
	case os.Getenv("GOGC") != "":
	case s.Registry == "":
		debug.SetGCPercent(gcPercentOfDatabase)
	default:
		debug.SetGCPercent(gcPercentOfFile)
	}
}

// serve reads keys and registry, opens the listeners, and serves until ctx ends.
func serve(ctx context.Context, s *config.Settings, stderr io.Writer) error {
	hup := make(chan os.Signal, 1) // until somebody listens: it would end the program that is only starting
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	to := logs{newLog(s, stderr), newAudit(s, stderr)}
	p, err := assemble(ctx, s, to, serving)
	if err != nil {
		return err
	}
	defer p.close()
	setGCPercent(s)
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
		s.Issuer = p.scheme() + "://" + public.Addr().String()
	}
	return p.serveOn(ctx, to, public, private)
}

func (p *parts) serveOn(ctx context.Context, to logs, public, private net.Listener) error {
	s := p.settings
	remoteKeys := clientjwks.New(clientjwks.Config{
		Networks:   s.ClientsJWKSNetworks,
		MaxWaiting: max(s.LimitInFlight/8, 1), // the others are not held up by a client whose keys do not come
		Log:        to.log,
	})
	defer remoteKeys.Close()
	var stopping atomic.Bool
	uses := &store.Uses{Store: p.store}
	handlers, err := p.handlers(to, remoteKeys, uses, &stopping)
	if err != nil {
		return err
	}
	stopWatching := p.watch(context.WithoutCancel(ctx), uses) // what serves on while it stops goes on looking
	defer stopWatching()
	publicSite := server.Site{Listener: public, Handler: handlers.Public}
	privateSite := server.Site{Listener: private, Handler: handlers.Private}
	if p.certificate != nil {
		publicSite.TLS = p.certificate.Config()
		if !config.IsLoopback(s.PrivateListen) {
			privateSite.TLS = p.certificate.Config()
		}
	}
	to.log.Info("issuer serves", "issuer", s.Issuer, "listen", public.Addr().String(), "private_listen", private.Addr().String())
	stop := server.Stop{Announce: func() { stopping.Store(true) }, Delay: s.ShutdownDelay, Grace: s.ShutdownGrace}
	err = server.Serve(ctx, to.log, stop, publicSite, privateSite)
	to.log.Info("issuer stopped")
	return err
}

// handlers wires the token endpoint to keys, registry and limits, and all of it to HTTP.
func (p *parts) handlers(to logs, remoteKeys oauth.RemoteKeys, uses *store.Uses, stopping *atomic.Bool) (server.Handlers, error) {
	s := p.settings
	addresses, err := limit.NewBuckets[netip.Prefix](maxAddresses, s.LimitAddressRate, burst*s.LimitAddressRate, time.Now)
	if err != nil {
		return server.Handlers{}, err
	}
	perClient, err := limit.NewBuckets[string](maxClients, s.LimitClientRate, burst*s.LimitClientRate, time.Now)
	if err != nil {
		return server.Handlers{}, err
	}
	endpoint, err := oauth.New(oauth.Config{
		Issuer:     s.Issuer,
		Registry:   p.registry.registry,
		Keys:       p.keeper,
		Spent:      p.store,
		SecretUsed: uses.Note,
		RemoteKeys: remoteKeys,
		Leeway:     s.Leeway,
		Limit:      perClient.Take,
	})
	if err != nil {
		return server.Handlers{}, err
	}
	return server.New(server.Config{
		Issuer:      s.Issuer,
		Token:       endpoint.Token,
		Ring:        p.keeper.Ring,
		MaxAge:      s.JWKSMaxAge,
		Addresses:   addresses,
		InFlight:    make(limit.Slots, s.LimitInFlight),
		Proxies:     server.Proxies{Trusted: s.TrustedProxies, Header: s.TrustedProxyHeader, Only: s.OnlyProxies()},
		Ready:       func() error { return p.ready(stopping) },
		Survey:      p.keeper.Survey,
		Trouble:     p.keeper.Trouble,
		Registry:    p.registry.status,
		Database:    p.store.Check,
		Health:      p.health,
		Certificate: p.certificate,
		Version:     version(),
		Log:         to.log,
		Audit:       to.audit,
	})
}

// scheme is how the public listener is spoken to.
func (p *parts) scheme() string {
	if p.certificate != nil {
		return "https"
	}
	return "http"
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
