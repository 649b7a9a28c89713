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
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"example.com/signet/issuer/internal/clientjwks"
	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/limit"
	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/issuer/internal/server"
)

const (
	// maxSpentIDs bounds the memory of client assertions, about 100 octets each, that have not expired yet.
	maxSpentIDs = 1_000_000

	// Whose requests are counted at the same time: more clients than most registries have, and addresses enough that
	// somebody needs many networks to be forgotten.
	maxClients   = 1 << 18
	maxAddresses = 1 << 16

	// burst is how many seconds' worth of requests may come at once: a whole fleet starts at one moment.
	burst = 10
)

// gcPercent lets the heap grow to five times what is live before it is collected: a token leaves ten kilobytes of garbage,
// and beside a large registry the usual 100 would cost a tenth of the machine. GOGC and GOMEMLIMIT say otherwise.
const gcPercent = 400

// serve reads keys and registry, opens the listeners, and serves until ctx ends.
func serve(ctx context.Context, s *config.Settings, stderr io.Writer) error {
	hup := make(chan os.Signal, 1) // until somebody listens: it would end the program that is only starting
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	to := logs{newLog(s, stderr), newAudit(s, stderr)}
	p, err := assemble(s, to)
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
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
		s.Issuer = p.scheme() + "://" + public.Addr().String()
	}
	return p.serveOn(ctx, to, public, private)
}

func (p *parts) serveOn(ctx context.Context, to logs, public, private net.Listener) error {
	s := p.settings
	remoteKeys := clientjwks.New(clientjwks.Config{
		Networks:   s.ClientsJWKSNetworks,
		MaxWaiting: max(s.LimitInFlight/4, 1), // the others are not held up by a client whose keys do not come
		Log:        to.log,
	})
	defer remoteKeys.Close()
	var stopping atomic.Bool
	handlers, err := p.handlers(to, remoteKeys, &stopping)
	if err != nil {
		return err
	}
	stopWatching := p.watch(context.WithoutCancel(ctx)) // what serves on while it stops follows its files
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
func (p *parts) handlers(to logs, remoteKeys oauth.RemoteKeys, stopping *atomic.Bool) (server.Handlers, error) {
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
		Registry:   func() oauth.Registry { return p.registry.Registry() },
		Keys:       p.keeper,
		Spent:      oauth.NewMemorySpent(maxSpentIDs, time.Now),
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
		Registry:    p.registryStatus,
		Client:      p.clientStatus,
		Certificate: p.certificate,
		Version:     version(),
		Log:         to.log,
		Audit:       to.audit,
	})
}

func (p *parts) ready(stopping *atomic.Bool) error {
	if stopping.Load() {
		return server.ErrStopping
	}
	return p.checkSigners(p.registry.Registry())
}

func (p *parts) registryStatus() server.RegistryStatus {
	return server.RegistryStatus{
		Clients: p.registry.Registry().Len(),
		Loaded:  p.registry.Loaded(),
		Trouble: p.registry.Trouble(),
	}
}

func (p *parts) clientStatus(id string) (server.ClientStatus, error) {
	client, err := p.registry.Registry().Client(context.Background(), id)
	if errors.Is(err, clients.ErrUnknownClient) {
		err = server.ErrNoClient
	}
	if err != nil {
		return server.ClientStatus{}, err
	}
	status := server.ClientStatus{ID: client.ID, Enabled: client.Enabled, Secrets: []server.SecretStatus{}}
	for i := range client.Secrets {
		secret := &client.Secrets[i]
		status.Secrets = append(status.Secrets,
			server.SecretStatus{SHA256: secret.Name(), Expires: secret.Expires, LastUse: secret.LastUse()})
	}
	return status, nil
}

// watch follows keys, registry and certificate, all of which are looked at at once when SIGHUP comes. What it returns ends
// that and waits for it.
func (p *parts) watch(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	start := func(run func(context.Context, <-chan os.Signal)) {
		hup := make(chan os.Signal, 1)
		signal.Notify(hup, syscall.SIGHUP)
		running.Go(func() {
			defer signal.Stop(hup)
			run(ctx, hup)
		})
	}
	start(p.keeper.Run)
	start(p.registry.Run)
	if p.certificate != nil {
		start(p.certificate.Run)
	}
	return func() {
		cancel()
		running.Wait()
	}
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
