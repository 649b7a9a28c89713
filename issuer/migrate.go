package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/store"
)

// migrateCommand is the parent of what an operator does with the schema of the database.
func migrateCommand(s *config.Settings) *cobra.Command {
	return group("migrate", "Bring the schema of the database up to date, or look at it",
		"Bring the schema of the database up to date, or look at it. The issuer does so by itself at start, one of several\n"+
			"for all; this is for those who want it done before. A schema goes forward only.",
		migrateUpCommand(s), migrateStatusCommand(s))
}

func migrateUpCommand(s *config.Settings) *cobra.Command {
	return &cobra.Command{
		Use:     "up",
		Short:   "Apply what is missing, each step as a whole",
		Example: "  issuer migrate up --database sqlite:issuer.db",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withStore(cmd, s, writing, func(db *store.Store) error { return printMigrations(cmd, db, "text") })
		},
	}
}

func migrateStatusCommand(s *config.Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show which steps have been applied, and when",
		Example: "  issuer migrate status -o json",
		Args:    noArgs,
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withStore(cmd, s, looking, func(db *store.Store) error { return printMigrations(cmd, db, *output) })
	}
	return cmd
}

// listedMigration is a step as migrate status -o json shows it.
type listedMigration struct {
	Version   int64     `json:"version"`
	Name      string    `json:"name"`
	AppliedAt time.Time `json:"applied_at,omitzero"`
}

func printMigrations(cmd *cobra.Command, db *store.Store, output string) error {
	steps, err := db.Migrations(cmd.Context())
	if err != nil {
		return err
	}
	var all []listedMigration
	for _, step := range steps {
		all = append(all, listedMigration{step.Version, step.Name, step.AppliedAt.UTC()})
	}
	return printAs(cmd.OutOrStdout(), output, all, func(w io.Writer) error {
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "VERSION\tAPPLIED\tNAME")
		for _, step := range all {
			fmt.Fprintf(table, "%d\t%s\t%s\n", step.Version, stamp(step.AppliedAt), step.Name)
		}
		return table.Flush()
	})
}
