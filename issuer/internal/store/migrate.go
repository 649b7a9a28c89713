package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"

	"example.com/signet/keys"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationsTable is where goose notes what has been applied.
const migrationsTable = "signet_migrations"

// migrateTimeout bounds the wait for another issuer that migrates, and our own migrating.
const migrateTimeout = 5 * time.Minute

// Migration is one step of the schema.
type Migration struct {
	Version   int64
	Name      string
	AppliedAt time.Time // zero: not yet
}

func (s *Store) provider() (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.Dialect(s.goose()), s.db, files,
		goose.WithTableName(migrationsTable), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
}

// checkSchema brings the schema up to date where that is wanted, and else sees whether it is.
func (s *Store) checkSchema(ctx context.Context) error {
	if s.cfg.AnyVersion {
		return nil
	}
	if file, ok := s.dialect.(*sqliteFile); s.cfg.Migrate || (ok && file.memory) {
		return s.migrate(ctx)
	}
	current, known, err := s.versions(ctx)
	switch {
	case err != nil:
		return err
	case current < known:
		return keys.WithHint(fmt.Errorf("%w: its schema is version %d, and this one needs %d", ErrOlder, current, known),
			"issuer migrate up, which the start of the issuer does too")
	}
	return checkVersion(current, known)
}

func checkVersion(current, known int64) error {
	if current > known {
		return keys.WithHint(fmt.Errorf("%w: its schema is version %d, and this one knows %d", ErrNewer, current, known),
			"start the version that made it, or a later one; schemas only go forward")
	}
	return nil
}

// versions returns the schema's version, 0 for none, and the latest that is known.
func (s *Store) versions(ctx context.Context) (current, known int64, err error) {
	provider, err := s.provider()
	if err != nil {
		return 0, 0, err
	}
	sources := provider.ListSources()
	known = sources[len(sources)-1].Version
	has, err := s.hasTable(ctx, s.db, migrationsTable)
	if err != nil || !has { // goose would make the table
		return 0, known, away("reading the schema's version", err)
	}
	current, err = provider.GetDBVersion(ctx)
	return current, known, away("reading the schema's version", err)
}

// migrate applies what is missing, each migration in one transaction, while all others wait. Whoever comes later finds
// it done.
func (s *Store) migrate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	if current, known, err := s.versions(ctx); err != nil || current >= known {
		return errors.Join(err, checkVersion(current, known)) // without the lock: a replica that may only read can start
	}
	unlock, err := s.lock(ctx, s.db, "migrate")
	if err != nil {
		return err
	}
	defer unlock()
	current, known, err := s.versions(ctx)
	if err != nil || current >= known {
		return errors.Join(err, checkVersion(current, known))
	}
	if err := s.prepare(ctx, s.db); err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	provider, err := s.provider()
	if err != nil {
		return err
	}
	applied, err := provider.Up(ctx)
	if err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	if !s.cfg.Migrate { // in memory, and nobody's business
		return nil
	}
	for _, step := range applied {
		s.cfg.Log.Info("database migrated", "version", step.Source.Version, "took", step.Duration.String())
	}
	return nil
}

// Migrations returns every step of the schema, oldest first, and those that only a newer version knows.
func (s *Store) Migrations(ctx context.Context) ([]Migration, error) {
	provider, err := s.provider()
	if err != nil {
		return nil, err
	}
	current, _, err := s.versions(ctx)
	if err != nil {
		return nil, err
	}
	var all []Migration
	for _, source := range provider.ListSources() {
		all = append(all, Migration{Version: source.Version, Name: source.Path})
	}
	if current == 0 { // goose would make its table
		return all, nil
	}
	status, err := provider.Status(ctx)
	for i := range status {
		all[i].AppliedAt = status[i].AppliedAt
	}
	if err == nil {
		err = s.rows(ctx, func(scan func(...any) error) error {
			step := Migration{Name: "of a newer version"}
			err := scan(&step.Version, &step.AppliedAt)
			all = append(all, step)
			return err
		}, "SELECT version_id, tstamp FROM "+migrationsTable+" WHERE version_id > $1 ORDER BY version_id", all[len(all)-1].Version)
	}
	return all, away("reading the schema's version", err)
}
