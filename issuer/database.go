package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/store"
)

// opening says how to open the database.
type opening int

const (
	reading opening = iota // it is as it is: nothing is made or migrated
	looking                // so too, and of whatever version
	writing                // it is made where it is missing, and brought up to date
	serving                // so too, and there is time to wait for it
)

const (
	databaseWait = 30 * time.Second // how long a start waits for a database that does not answer
	databaseStep = time.Second
)

// openStore opens the database of the settings.
func openStore(ctx context.Context, s *config.Settings, log *slog.Logger, open opening) (*store.Store, error) {
	cfg := store.Config{
		URL:          s.DatabaseURL(),
		PasswordFile: s.DatabasePasswordFile,
		Connections:  s.DatabaseConnections,
		Insecure:     s.InsecureDatabase,
		Waiting:      max(s.LimitInFlight/2, 1), // the others are not held up by a database that is slow
		Migrate:      open == writing || open == serving,
		AnyVersion:   open == looking,
		Log:          log,
	}
	if open == serving {
		cfg.Actor = "issuer " + store.DefaultActor()
	}
	deadline := time.Now().Add(databaseWait)
	for {
		db, err := store.Open(ctx, cfg)
		if err == nil {
			return db, nil
		}
		if open != serving || !errors.Is(err, store.ErrAway) || time.Now().After(deadline) {
			return nil, wrongDatabase(err)
		}
		log.Warn("waiting for the database", "cause", err)
		select {
		case <-ctx.Done():
			return nil, wrongDatabase(err)
		case <-time.After(databaseStep):
		}
	}
}

// wrongDatabase names the setting.
func wrongDatabase(err error) error { return wrongUse(fmt.Errorf("--database: %w", err)) }

// withStore runs a command with the database open.
func withStore(cmd *cobra.Command, s *config.Settings, open opening, run func(*store.Store) error) error {
	if err := s.Check(); err != nil {
		return wrongUse(err)
	}
	db, err := openStore(cmd.Context(), s, slog.New(slog.DiscardHandler), open)
	if err != nil {
		return err
	}
	defer db.Close()
	return run(db)
}
