package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/config"
)

// shownClient is a client as clients show -o json shows it.
type shownClient struct {
	listedClient
	JWKSURI string        `json:"jwks_uri,omitempty"`
	Keys    []shownKey    `json:"keys"`
	Secrets []shownSecret `json:"secrets"`
	Allow   []shownGrant  `json:"allow"`
	Default string        `json:"default_resource,omitempty"`
	Known   bool          `json:"last_use_known"`
	why     string        // it is not
}

type shownKey struct {
	KeyID     string `json:"kid"`
	Algorithm string `json:"alg"`
}

type shownSecret struct {
	SHA256  string    `json:"sha256"` // its first 8 digits
	Expires time.Time `json:"expires,omitzero"`
	LastUse time.Time `json:"last_use,omitzero"`
}

type shownGrant struct {
	Resource string   `json:"resource"`
	Scopes   []string `json:"scopes"`
	Default  []string `json:"default_scopes"`
}

func clientsShowCommand(s *config.Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show a client: its credentials, when each was last used, and what it may ask for",
		Long: "Show a client: its credentials, when each secret was last used, and what it may ask for. Last uses are in the\n" +
			"database, where the issuer writes them down every half minute.",
		Example: "  issuer clients show demo\n  issuer clients show billing --registry registry.yaml -o json",
		Args:    oneArg("client id"),
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withCatalogue(cmd, s, func(c catalogue) error {
			client, err := c.client(cmd.Context(), args[0])
			if errors.Is(err, clients.ErrUnknownClient) {
				return &usageError{fmt.Errorf("%w %q", clients.ErrUnknownClient, args[0]), "issuer clients list"}
			}
			if err != nil {
				return err
			}
			shown := showClient(client)
			uses, err := c.lastUses(cmd.Context(), client.ID)
			shown.take(client, uses, err)
			return printAs(cmd.OutOrStdout(), *output, shown, shown.print)
		})
	}
	return cmd
}

func showClient(client *clients.Client) *shownClient {
	shown := &shownClient{
		listedClient: listClient(client), JWKSURI: client.JWKSURI, Default: client.Default,
		Keys: []shownKey{}, Secrets: []shownSecret{}, Allow: []shownGrant{},
	}
	for key := range client.Keys.All() {
		shown.Keys = append(shown.Keys, shownKey{key.ID(), string(key.Algorithm())})
	}
	for i := range client.Secrets {
		shown.Secrets = append(shown.Secrets, shownSecret{SHA256: client.Secrets[i].Name(), Expires: client.Secrets[i].Expires})
	}
	for _, grant := range client.Grants {
		shown.Allow = append(shown.Allow, shownGrant{grant.Audience, append([]string{}, grant.Scopes...),
			append([]string{}, grant.Default...)})
	}
	return shown
}

// take shows the last uses, by the SHA-256 of each secret, or why they are not known.
func (c *shownClient) take(client *clients.Client, uses map[string]time.Time, err error) {
	c.Known = err == nil
	if err != nil {
		c.why = err.Error()
	}
	for i := range client.Secrets {
		c.Secrets[i].LastUse = uses[hex.EncodeToString(client.Secrets[i].Digest[:])]
	}
}

func (c *shownClient) print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "id\t%s\n", c.ID)
	if c.Name != "" {
		fmt.Fprintf(table, "name\t%s\n", c.Name)
	}
	fmt.Fprintf(table, "enabled\t%t\n", c.Enabled)
	for _, key := range c.Keys {
		fmt.Fprintf(table, "key\t%s %s\n", key.Algorithm, key.KeyID)
	}
	if c.JWKSURI != "" {
		fmt.Fprintf(table, "jwks_uri\t%s\n", c.JWKSURI)
	}
	for _, secret := range c.Secrets {
		fmt.Fprintf(table, "secret\t%s…, %s, %s\n", secret.SHA256, expiry(secret.Expires), c.lastUse(secret.LastUse))
	}
	for _, grant := range c.Allow {
		fmt.Fprintf(table, "may ask\t%s\n", describe(grant))
	}
	if c.Default != "" {
		fmt.Fprintf(table, "default\t%s\n", c.Default)
	}
	return table.Flush()
}

func expiry(t time.Time) string {
	if t.IsZero() {
		return "never expires"
	}
	return "expires " + t.UTC().Format(time.RFC3339)
}

func (c *shownClient) lastUse(t time.Time) string {
	switch {
	case !c.Known:
		return "last use unknown: " + c.why
	case t.IsZero():
		return "not used"
	}
	return "last used " + t.UTC().Format(time.RFC3339)
}

func describe(grant shownGrant) string {
	text := grant.Resource
	if len(grant.Scopes) > 0 {
		text += " for " + strings.Join(grant.Scopes, " ")
	}
	if len(grant.Default) > 0 {
		text += ", by default " + strings.Join(grant.Default, " ")
	}
	return text
}
