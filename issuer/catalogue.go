package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/store"
	"example.com/signet/keys"
)

// catalogue is clients and resources as commands read them: from a file, the database, or those for development.
type catalogue struct {
	client    func(ctx context.Context, id string) (*clients.Client, error)
	each      func(ctx context.Context, each func(*clients.Client) error) error
	resources func(ctx context.Context) (*clients.Resources, error)
	lastUses  func(ctx context.Context, clientID string) (map[string]time.Time, error)
}

// withCatalogue runs a command on clients and resources as the issuer would have them.
func withCatalogue(cmd *cobra.Command, s *config.Settings, run func(catalogue) error) error {
	if s.Registry == "" {
		return withStore(cmd, s, reading, func(db *store.Store) error { return runOnDatabase(cmd.Context(), s, db, run) })
	}
	registry, err := clients.ReadFile(s.Registry, time.Now())
	if err != nil {
		return wrongRegistry(err)
	}
	c := catalogueOf(registry)
	c.lastUses = func(ctx context.Context, id string) (map[string]time.Time, error) {
		db, err := openStore(ctx, s, slog.New(slog.DiscardHandler), reading)
		if err != nil {
			return nil, err
		}
		defer db.Close()
		return db.LastUses(ctx, id)
	}
	return run(c)
}

func runOnDatabase(ctx context.Context, s *config.Settings, db *store.Store, run func(catalogue) error) error {
	all, err := db.Resources(ctx)
	if err != nil {
		return err
	}
	if len(all) == 0 && s.MayDevelop() {
		registry, err := developmentRegistry(s)
		if err != nil {
			return err
		}
		c := catalogueOf(registry)
		c.lastUses = db.LastUses
		return run(c)
	}
	return run(databaseCatalogue(db))
}

func databaseCatalogue(db *store.Store) catalogue {
	return catalogue{
		client: db.Client,
		each:   db.EachClient,
		resources: func(ctx context.Context) (*clients.Resources, error) {
			all, err := db.Resources(ctx)
			return clients.NewResources(all), err
		},
		lastUses: db.LastUses,
	}
}

// catalogueOf is a registry in memory, without the last uses.
func catalogueOf(registry *clients.Registry) catalogue {
	return catalogue{
		client: registry.Client,
		each: func(_ context.Context, each func(*clients.Client) error) error {
			for _, client := range registry.Clients() {
				if err := each(client); err != nil {
					return err
				}
			}
			return nil
		},
		resources: func(context.Context) (*clients.Resources, error) { return registry.Resources, nil },
	}
}

// readResources reads the resources as the issuer would.
func readResources(cmd *cobra.Command, s *config.Settings) (resources *clients.Resources, err error) {
	err = withCatalogue(cmd, s, func(c catalogue) error {
		resources, err = c.resources(cmd.Context())
		return err
	})
	return resources, err
}

// withRegistry runs a command that changes the registry in the database.
func withRegistry(cmd *cobra.Command, s *config.Settings, run func(*store.Store) error) error {
	return withRegistryOpen(cmd, s, writing, run)
}

// hinted says where to look for what is unknown.
func hinted(err error) error {
	switch {
	case errors.Is(err, clients.ErrUnknownClient):
		return keys.WithHint(err, "issuer clients list")
	case errors.Is(err, clients.ErrUnknownResource):
		return keys.WithHint(err, "issuer resources list")
	}
	return err
}

func withRegistryOpen(cmd *cobra.Command, s *config.Settings, open opening, run func(*store.Store) error) error {
	if s.Registry != "" {
		return &usageError{errRegistryFile, "change " + s.Registry + ", or leave --registry out for what is in the database"}
	}
	return withStore(cmd, s, open, func(db *store.Store) error { return wrongUse(hinted(run(db))) })
}
