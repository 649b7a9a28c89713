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

func auditCommand(s *config.Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Show who has changed clients, resources and keys in the database, and when",
		Long: "Show every change of clients, resources, signing keys and master keys in the database: who made it and when.\n" +
			"Tokens are not in it: token.issued and token.refused are in the log.",
		Example: "  issuer audit\n  issuer audit --since 24h -o json",
		Args:    noArgs,
	}
	since := cmd.Flags().Duration("since", 0, "how far back; 0: from the beginning")
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *since < 0 {
			return &usageError{fmt.Errorf("--since %v is negative", *since), ""}
		}
		return withStore(cmd, s, reading, func(db *store.Store) error {
			var from time.Time
			if *since > 0 {
				from = time.Now().Add(-*since)
			}
			all := []store.Change{}
			err := db.Changes(cmd.Context(), from, func(c store.Change) error {
				all = append(all, c)
				return nil
			})
			if err != nil {
				return err
			}
			return printAs(cmd.OutOrStdout(), *output, all, func(w io.Writer) error { return printChanges(w, all) })
		})
	}
	return cmd
}

func printChanges(w io.Writer, all []store.Change) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "AT\tWHO\tWHAT\tOF\tDETAIL")
	for _, c := range all {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", stamp(c.At), c.Actor, c.Event, c.Object, c.Detail)
	}
	return table.Flush()
}
