package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/store"
	"example.com/signet/keys"
)

// resourcesCommand is the parent of what an operator does with resources.
func resourcesCommand(s *config.Settings) *cobra.Command {
	return group("resources", "Look at the resources that tokens are for, and change those in the database",
		"Look at the resources that tokens are for, and change those in the database; a running issuer sees that within a\n"+
			"second. Where --registry names a file, resources are changed there.",
		resourcesListCommand(s), resourcesShowCommand(s), resourcesAddCommand(s), resourcesEnableCommand(s, true),
		resourcesEnableCommand(s, false), resourcesDeleteCommand(s))
}

// shownResource is a resource as resources list and show -o json show it.
type shownResource struct {
	Audience  string         `json:"audience"`
	Enabled   bool           `json:"enabled"`
	Scopes    []string       `json:"scopes"`
	Algorithm keys.Algorithm `json:"algorithm"`
	Type      keys.Type      `json:"token_type"`
	Lifetime  string         `json:"token_lifetime"`
}

func showResource(r *clients.Resource) shownResource {
	return shownResource{r.Audience, r.Enabled, append([]string{}, r.Scopes...), r.Algorithm, r.Type, r.Lifetime.String()}
}

func resourcesListCommand(s *config.Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the resources",
		Example: "  issuer resources list -o json",
		Args:    noArgs,
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		resources, err := readResources(cmd, s)
		if err != nil {
			return err
		}
		all := []shownResource{}
		for _, resource := range resources.All() {
			all = append(all, showResource(resource))
		}
		return printAs(cmd.OutOrStdout(), *output, all, func(w io.Writer) error { return printResources(w, all) })
	}
	return cmd
}

func printResources(w io.Writer, all []shownResource) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "AUDIENCE\tSTATE\tSIGNED BY\tTYPE\tLIFETIME\tSCOPES")
	for _, r := range all {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n",
			r.Audience, state(r.Enabled), r.Algorithm, r.Type, r.Lifetime, clients.Scope(r.Scopes))
	}
	return table.Flush()
}

func resourcesShowCommand(s *config.Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show AUDIENCE",
		Short:   "Show a resource",
		Example: "  issuer resources show https://orders.example.com",
		Args:    oneArg("audience"),
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		resources, err := readResources(cmd, s)
		if err != nil {
			return err
		}
		resource, err := resources.Resource(cmd.Context(), args[0])
		if errors.Is(err, clients.ErrUnknownResource) {
			return &usageError{fmt.Errorf("%w %q", err, args[0]), "issuer resources list"}
		}
		if err != nil {
			return err
		}
		one := showResource(resource)
		return printAs(cmd.OutOrStdout(), *output, one, func(w io.Writer) error { return printResources(w, []shownResource{one}) })
	}
	return cmd
}

func resourcesAddCommand(s *config.Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "add AUDIENCE",
		Short:   "Add a resource to the database",
		Example: "  issuer resources add https://orders.example.com --scopes 'orders:read orders:write' --token-lifetime 5m",
		Args:    oneArg("audience"),
	}
	scopes := cmd.Flags().String("scopes", "", "scopes that it knows, with blanks between them")
	algorithm := cmd.Flags().String("algorithm", string(clients.DefaultAlgorithm), "signs its tokens: ES256 or RS256")
	typ := cmd.Flags().String("token-type", string(clients.DefaultType), "at+jwt, or JWT for verifiers that read nothing else")
	lifetime := cmd.Flags().Duration("token-lifetime", clients.DefaultLifetime, "of its tokens, 1s to 1h")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		resource, err := buildResource(args[0], *scopes, *algorithm, *typ, *lifetime)
		if err != nil {
			return wrongUse(err)
		}
		return withRegistry(cmd, s, func(db *store.Store) error {
			added := clients.NewResources(map[string]*clients.Resource{resource.Audience: resource})
			if err := fitsKeys(s, db, added); err != nil {
				return err
			}
			return db.AddResource(cmd.Context(), resource)
		})
	}
	return cmd
}

func buildResource(audience, scopes, algorithm, typ string, lifetime time.Duration) (*clients.Resource, error) {
	r := &clients.Resource{Audience: audience, Enabled: true, Lifetime: lifetime}
	var problems [5]error
	problems[0] = clients.CheckAudience(audience)
	r.Scopes, problems[1] = clients.ParseScope(scopes)
	r.Algorithm, problems[2] = keys.ParseAlgorithm(algorithm)
	r.Type, problems[3] = clients.ParseType(typ)
	problems[4] = clients.CheckLifetime(lifetime)
	return r, errors.Join(problems[:]...)
}

// resourcesEnableCommand is resources enable, or resources disable.
func resourcesEnableCommand(s *config.Settings, enable bool) *cobra.Command {
	word, event, short := "disable", "resource.disabled", "Let nobody have a token for a resource"
	if enable {
		word, event, short = "enable", "resource.enabled", "Let clients have tokens for a resource again"
	}
	return &cobra.Command{
		Use:     word + " AUDIENCE",
		Short:   short,
		Example: "  issuer resources " + word + " https://orders.example.com",
		Args:    oneArg("audience"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withRegistry(cmd, s, func(db *store.Store) error {
				return db.ChangeResource(cmd.Context(), args[0], event, func(resource *clients.Resource) error {
					resource.Enabled = enable
					return nil
				})
			})
		},
	}
}

func resourcesDeleteCommand(s *config.Settings) *cobra.Command {
	return &cobra.Command{
		Use:     "delete AUDIENCE",
		Short:   "Delete a resource that no client may ask for from the database",
		Example: "  issuer resources delete https://orders.example.com",
		Args:    oneArg("audience"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withRegistry(cmd, s, func(db *store.Store) error { return db.DeleteResource(cmd.Context(), args[0]) })
		},
	}
}
