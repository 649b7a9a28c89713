package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/config"
)

// clientsCommand is the parent of what an operator does with clients.
func clientsCommand(s *config.Settings) *cobra.Command {
	return group("clients", "Look at the clients, and change those in the database",
		"Look at the clients, and change those in the database; a running issuer sees that within a second. Where --registry\n"+
			"names a file, clients are changed there.",
		clientsListCommand(s), clientsShowCommand(s), clientsAddCommand(s), clientsEnableCommand(s, true),
		clientsEnableCommand(s, false), clientsDeleteCommand(s), addSecretCommand(s), removeSecretCommand(s),
		generateSecretCommand())
}

// listedClient is a client as clients list -o json shows it.
type listedClient struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Enabled   bool     `json:"enabled"`
	Methods   []string `json:"credentials"`
	Resources []string `json:"resources"`
}

func clientsListCommand(s *config.Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the clients: how they prove who they are, and what they may ask for",
		Example: "  issuer clients list\n  issuer clients list --registry registry.yaml -o json",
		Args:    noArgs,
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withCatalogue(cmd, s, func(c catalogue) error {
			all := []listedClient{}
			err := c.each(cmd.Context(), func(client *clients.Client) error {
				all = append(all, listClient(client))
				return nil
			})
			if err != nil {
				return err
			}
			return printAs(cmd.OutOrStdout(), *output, all, func(w io.Writer) error { return printClients(w, all) })
		})
	}
	return cmd
}

func listClient(client *clients.Client) listedClient {
	listed := listedClient{ID: client.ID, Name: client.Name, Enabled: client.Enabled, Methods: credentialsOf(client)}
	for _, grant := range client.Grants {
		listed.Resources = append(listed.Resources, grant.Audience)
	}
	return listed
}

// credentialsOf says in a word each how a client proves who it is.
func credentialsOf(client *clients.Client) []string {
	var found []string
	if n := client.Keys.Len(); n > 0 {
		found = append(found, fmt.Sprintf("keys:%d", n))
	}
	if client.JWKSURI != "" {
		found = append(found, "jwks_uri")
	}
	if n := len(client.Secrets); n > 0 {
		found = append(found, fmt.Sprintf("secrets:%d", n))
	}
	return found
}

func printClients(w io.Writer, all []listedClient) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tSTATE\tCREDENTIALS\tRESOURCES")
	for _, c := range all {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", c.ID, state(c.Enabled), strings.Join(c.Methods, " "), strings.Join(c.Resources, " "))
	}
	return table.Flush()
}

func state(enabled bool) string {
	if enabled {
		return "enabled"
	}
	return "disabled"
}
