package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/config"
)

// clientsCommand is the parent of what an operator does with clients.
func clientsCommand(s *config.Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clients",
		Short: "Look at the clients, and make secrets for them",
		Long: "Look at the clients in the registry, and make secrets for them. The registry is a file of yours; a running issuer\n" +
			"reads it again when it changes.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }, // without it, a typo would exit 0
	}
	cmd.AddCommand(clientsListCommand(s), clientsShowCommand(s), generateSecretCommand())
	return cmd
}

// readRegistry reads the registry as the issuer would.
func readRegistry(s *config.Settings) (*clients.Registry, error) {
	if s.Registry == "" {
		return developmentRegistry(s)
	}
	registry, err := clients.ReadFile(s.Registry, time.Now())
	return registry, wrongRegistry(err)
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
		registry, err := readRegistry(s)
		if err != nil {
			return err
		}
		all := []listedClient{}
		for _, client := range registry.Clients() {
			all = append(all, listClient(client))
		}
		return printAs(cmd.OutOrStdout(), *output, all, func(w io.Writer) error { return printClients(w, all) })
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
		state := "enabled"
		if !c.Enabled {
			state = "disabled"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", c.ID, state, strings.Join(c.Methods, " "), strings.Join(c.Resources, " "))
	}
	return table.Flush()
}
