package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"

	"example.com/signet/issuer/internal/cache"
	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/issuer/internal/server"
	"example.com/signet/issuer/internal/store"
	"example.com/signet/keys"
)

// source is where clients and resources come from: a file or the database.
type source struct {
	registry  func() oauth.Registry
	resources func() *clients.Resources
	status    func() server.RegistryStatus
	run       func(ctx context.Context, wake <-chan struct{})
	develops  func() bool // the registry for development is served
}

func never() bool { return false }

// fileSource reads the file that --registry names.
func fileSource(s *config.Settings, fits func(*clients.Resources) error, log *slog.Logger) (*source, error) {
	check := func(registry *clients.Registry) error { return fits(registry.Resources) }
	live, err := clients.Open(clients.LiveConfig{Path: s.Registry, Check: check, Log: log})
	if err != nil {
		return nil, err
	}
	return &source{
		registry:  func() oauth.Registry { return live.Registry() },
		resources: func() *clients.Resources { return live.Registry().Resources },
		status: func() server.RegistryStatus {
			return server.RegistryStatus{Clients: live.Registry().Len(), Loaded: live.Loaded(), Trouble: live.Trouble()}
		},
		run:      live.Run,
		develops: never,
	}, nil
}

// databaseSource follows the registry in the database. For as long as there is nothing in it, and only this machine is
// served, it is the one for development.
func databaseSource(ctx context.Context, s *config.Settings, db *store.Store, fits func(*clients.Resources) error,
	log *slog.Logger) (*source, error) {
	check := func(resources *clients.Resources) error {
		if resources.Len() == 0 { // there is nothing yet that could not fit
			return nil
		}
		return fits(resources)
	}
	held, err := cache.Open(ctx, cache.Config{
		Store: db, Size: max(s.ClientsCacheSize, 1), // what is no setting is told of elsewhere
		Lookups:  max(s.LimitInFlight/8, 1), // the others are not held up by a database that is slow
		MaxStale: s.DatabaseMaxStale, Check: check, Log: log,
	})
	if err != nil {
		return nil, err
	}
	from := &source{
		registry:  func() oauth.Registry { return held },
		resources: held.Resources,
		status: func() server.RegistryStatus {
			return server.RegistryStatus{Clients: held.Len(), Loaded: held.Loaded(), Trouble: held.Trouble()}
		},
		run:      held.Run,
		develops: never,
	}
	if held.Resources().Len() > 0 || !s.MayDevelop() {
		return from, fits(held.Resources())
	}
	development, err := developmentRegistry(s)
	if err != nil {
		return nil, err
	}
	if err := fits(development.Resources); err != nil {
		return nil, err
	}
	return from.orElse(development), nil
}

// orElse is the registry for development until there is another.
func (from *source) orElse(development *clients.Registry) *source {
	var served atomic.Bool // another registry: one that is emptied does not bring this one back
	develops := func() bool {
		if from.resources().Len() > 0 {
			served.Store(true)
		}
		return !served.Load()
	}
	return &source{
		registry: func() oauth.Registry {
			if develops() {
				return development
			}
			return from.registry()
		},
		resources: func() *clients.Resources {
			if develops() {
				return development.Resources
			}
			return from.resources()
		},
		status: func() server.RegistryStatus {
			status := from.status()
			if develops() {
				status.Clients = development.Len()
			}
			return status
		},
		run:      from.run,
		develops: develops,
	}
}

func developmentKey(s *config.Settings) string {
	return filepath.Join(filepath.Dir(s.KeysDir), "client", clients.DevelopmentClient+".pub.pem")
}

func developmentRegistry(s *config.Settings) (*clients.Registry, error) {
	key, err := keys.ReadPublicKey(developmentKey(s))
	if err != nil {
		return nil, &usageError{
			fmt.Errorf("reading the development client's key: %w", err),
			"make it: scripts/genkeys.sh (or say who your clients are: issuer registry apply -f FILE)"}
	}
	return clients.Development(key)
}
