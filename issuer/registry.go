package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/store"
)

var errRegistryFile = errors.New("the registry is a file")

// registryCommand is the parent of what an operator does with the registry as a whole.
func registryCommand(s *config.Settings) *cobra.Command {
	return group("registry", "Write clients and resources from a file into the database, and back",
		"Write clients and resources from a file into the database, and back. A running issuer sees a change within a second.",
		registryApplyCommand(s), registryExportCommand(s))
}

func registryApplyCommand(s *config.Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make the database say what the file says",
		Long: "Make the database say what the file says, as a whole or not at all, after showing the difference: + is added,\n" +
			"~ is changed, - is deleted. What the file does not have is left alone, or deleted with --prune. Applied again,\n" +
			"it does nothing.",
		Example: "  issuer registry apply -f registry.yaml --dry-run\n  issuer registry apply -f registry.yaml --prune",
		Args:    noArgs,
	}
	file := cmd.Flags().StringP("file", "f", "", "YAML file of clients and resources")
	prune := cmd.Flags().Bool("prune", false, "delete clients and resources that the file does not have")
	dryRun := cmd.Flags().Bool("dry-run", false, "show the difference and change nothing")
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(*output); err != nil {
			return err
		}
		registry, err := readApplied(*file)
		if err != nil {
			return err
		}
		open := writing
		if *dryRun {
			open = reading
		}
		return withRegistryOpen(cmd, s, open, func(db *store.Store) error {
			if err := fitsKeys(s, db, registry.Resources); err != nil {
				return err
			}
			count, printed := 0, make(chan error, 1)
			err := db.Apply(cmd.Context(), registry, store.ApplyOptions{Prune: *prune, DryRun: *dryRun,
				Show: func(all []store.Difference) error {
					count = len(all)
					go func() { printed <- printDifferences(cmd.OutOrStdout(), *output, all) }() // all else waits for us
					return nil
				}})
			if count > 0 || err == nil {
				err = errors.Join(err, <-printed)
			}
			if err == nil {
				fmt.Fprintln(cmd.ErrOrStderr(), outcome(count, *dryRun))
			}
			return err
		})
	}
	return cmd
}

func readApplied(file string) (*clients.Registry, error) {
	if file == "" {
		return nil, &usageError{errors.New("no file"), "name it: issuer registry apply -f FILE"}
	}
	registry, err := clients.ReadFile(file, time.Now())
	return registry, wrongUse(err)
}

// fitsKeys reports whether an issuer with these settings and keys can serve the resources.
func fitsKeys(s *config.Settings, db *store.Store, resources *clients.Resources) error {
	ring, err := keyStore(s, db).Read()
	if ring == nil {
		return &usageError{err, noKeysHint(s)}
	}
	return fit(s, ring, resources)
}

func outcome(count int, dryRun bool) string {
	switch {
	case count == 0:
		return "nothing to change"
	case dryRun:
		return fmt.Sprintf("%d to change; nothing is changed (--dry-run)", count)
	}
	return fmt.Sprintf("%d changed", count)
}

var signs = map[string]string{"added": "+", "changed": "~", "deleted": "-"}

func printDifferences(w io.Writer, output string, all []store.Difference) error {
	if all == nil {
		all = []store.Difference{}
	}
	return printAs(w, output, all, func(w io.Writer) error {
		for _, d := range all {
			line := fmt.Sprintf("%s %s %s", signs[d.Event], d.Kind, d.Object)
			for i, field := range d.Fields {
				line += []string{": ", " "}[min(i, 1)] + field
			}
			if _, err := fmt.Fprintln(w, line); err != nil {
				return err
			}
		}
		return nil
	})
}

func registryExportCommand(s *config.Settings) *cobra.Command {
	return &cobra.Command{
		Use:     "export",
		Short:   "Print clients and resources as a file that issuer registry apply takes",
		Example: "  issuer registry export >registry.yaml",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			export := func(c catalogue) error { return exportRegistry(cmd.Context(), cmd.OutOrStdout(), c) }
			if s.Registry != "" {
				return withCatalogue(cmd, s, export)
			}
			return withStore(cmd, s, reading, func(db *store.Store) error { return export(databaseCatalogue(db)) })
		},
	}
}

// exportRegistry prints one record after the other: there may be many.
func exportRegistry(ctx context.Context, w io.Writer, c catalogue) error {
	resources, err := c.resources(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, "resources:")
	for _, resource := range resources.All() {
		if err := printRecord(w, resource); err != nil {
			return err
		}
	}
	fmt.Fprintln(w, "clients:")
	return c.each(ctx, func(client *clients.Client) error { return printRecord(w, client) })
}

// printRecord prints a record as an item of a YAML list.
func printRecord(w io.Writer, one interface{ Record() ([]byte, error) }) error {
	text, err := one.Record()
	if err != nil {
		return err
	}
	var node yaml.Node
	if err := yaml.Unmarshal(fmt.Appendf(nil, "[%s]", text), &node); err != nil {
		return err
	}
	inBlocks(&node)
	item, err := yaml.Marshal(&node)
	if err != nil {
		return err
	}
	_, err = w.Write(item)
	return err
}

// inBlocks undoes what JSON looks like.
func inBlocks(node *yaml.Node) {
	node.Style = 0
	for _, child := range node.Content {
		inBlocks(child)
	}
}
