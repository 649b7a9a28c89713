package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/store"
	"example.com/signet/keys"
)

// newClient is what clients add is told.
type newClient struct {
	name, jwksURI, defaultResource string
	keyFiles, allow, defaults      []string
	secret                         bool
	expires                        time.Duration
}

func clientsAddCommand(s *config.Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add ID",
		Short: "Add a client to the database",
		Long: "Add a client to the database. It proves who it is by the private half of --public-key, by keys that it publishes\n" +
			"at --jwks-uri, or by a secret: --secret makes one and prints it, alone, on stdout, this once.",
		Example: "  issuer clients add billing --public-key billing.pub.pem --allow 'https://orders.example.com orders:read'\n" +
			"  issuer clients add legacy --secret --allow 'https://orders.example.com orders:read' >legacy.secret",
		Args: oneArg("client id"),
	}
	var n newClient
	flags := cmd.Flags()
	flags.StringVar(&n.name, "name", "", "name for people")
	flags.StringArrayVar(&n.keyFiles, "public-key", nil, "file of a public key of the client, PEM or JWK; may be given again")
	flags.StringVar(&n.jwksURI, "jwks-uri", "", "where the client publishes its public keys")
	flags.BoolVar(&n.secret, "secret", false, "make a secret and print it")
	flags.DurationVar(&n.expires, "expires", 0, "when the secret expires, from now; 0: never")
	flags.StringArrayVar(&n.allow, "allow", nil, "resource that it may ask for and, behind blanks, the scopes; may be given again")
	flags.StringArrayVar(&n.defaults, "default-scopes", nil,
		"resource and, behind blanks, the scopes that it gets when it asks for none")
	flags.StringVar(&n.defaultResource, "default-resource", "", "resource that it gets when it names none")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if n.expires != 0 && !n.secret {
			return &usageError{errors.New("--expires is of a secret"), "give --secret too"}
		}
		client, secret, err := n.build(args[0])
		if err != nil {
			return wrongUse(err)
		}
		err = withRegistry(cmd, s, func(db *store.Store) error { return db.AddClient(cmd.Context(), client) })
		if err != nil || secret == "" {
			return err
		}
		return printSecret(cmd, client.ID, secret, &client.Secrets[0])
	}
	return cmd
}

// printSecret prints a secret that is in the database already. Where it cannot, nobody has it.
func printSecret(cmd *cobra.Command, clientID, text string, secret *clients.Secret) error {
	if _, err := fmt.Fprintln(cmd.OutOrStdout(), text); err != nil {
		return keys.WithHint(fmt.Errorf("printing the secret: %w", err),
			"it is live and nobody has it: issuer clients remove-secret "+clientID+" "+secret.Name())
	}
	return nil
}

// build returns the client, and its secret if it is to have one.
func (n *newClient) build(id string) (client *clients.Client, secret string, err error) {
	client = &clients.Client{ID: id, Name: n.name, Enabled: true, JWKSURI: n.jwksURI, Default: n.defaultResource}
	if client.Keys, err = readKeys(n.keyFiles); err != nil {
		return nil, "", err
	}
	if n.secret {
		var one clients.Secret
		if secret, one, err = newSecret(n.expires); err != nil {
			return nil, "", err
		}
		client.Secrets = append(client.Secrets, one)
	}
	if client.Grants, err = parseGrants(n.allow, n.defaults); err != nil {
		return nil, "", err
	}
	return client, secret, nil
}

func readKeys(files []string) (*keys.Set, error) {
	var all []*keys.PublicKey
	for _, file := range files {
		key, err := keys.ReadPublicKey(file)
		if err != nil {
			return nil, err
		}
		all = append(all, key)
	}
	if all == nil {
		return nil, nil
	}
	return keys.NewSet(all...)
}

func newSecret(expires time.Duration) (text string, secret clients.Secret, err error) {
	switch {
	case expires < 0:
		return "", secret, fmt.Errorf("--expires %v is negative", expires)
	case expires > 0 && expires < time.Minute:
		return "", secret, fmt.Errorf("--expires %v is less than a minute", expires)
	}
	text, secret.Digest = clients.GenerateSecret()
	if expires > 0 {
		secret.Expires = time.Now().Add(expires)
	}
	return text, secret, nil
}

// parseGrants reads "RESOURCE SCOPE SCOPE" for what is allowed and for what is the default.
func parseGrants(allow, defaults []string) (grants []clients.Grant, err error) {
	for _, text := range allow {
		audience, scopes, _ := strings.Cut(text, " ")
		grant := clients.Grant{Audience: audience}
		if grant.Scopes, err = clients.ParseScope(scopes); err != nil {
			return nil, fmt.Errorf("--allow %q: %w", text, err)
		}
		grants = append(grants, grant)
	}
	for _, text := range defaults {
		audience, scopes, _ := strings.Cut(text, " ")
		grant := grantOf(grants, audience)
		if grant == nil {
			return nil, fmt.Errorf("--default-scopes %q: no --allow names that resource", text)
		}
		if grant.Default, err = clients.ParseScope(scopes); err != nil {
			return nil, fmt.Errorf("--default-scopes %q: %w", text, err)
		}
	}
	return grants, nil
}

func grantOf(grants []clients.Grant, audience string) *clients.Grant {
	for i := range grants {
		if grants[i].Audience == audience {
			return &grants[i]
		}
	}
	return nil
}

// clientsEnableCommand is clients enable, or clients disable.
func clientsEnableCommand(s *config.Settings, enable bool) *cobra.Command {
	word, event, short := "disable", "client.disabled", "Let a client have no more tokens"
	if enable {
		word, event, short = "enable", "client.enabled", "Let a client have tokens again"
	}
	return &cobra.Command{
		Use:     word + " ID",
		Short:   short,
		Example: "  issuer clients " + word + " billing",
		Args:    oneArg("client id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withRegistry(cmd, s, func(db *store.Store) error {
				return db.ChangeClient(cmd.Context(), args[0], event, func(client *clients.Client) (string, error) {
					client.Enabled = enable
					return "", nil
				})
			})
		},
	}
}

func clientsDeleteCommand(s *config.Settings) *cobra.Command {
	return &cobra.Command{
		Use:     "delete ID",
		Short:   "Delete a client from the database",
		Example: "  issuer clients delete billing",
		Args:    oneArg("client id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withRegistry(cmd, s, func(db *store.Store) error { return db.DeleteClient(cmd.Context(), args[0]) })
		},
	}
}

var (
	errTooManySecrets = errors.New("the client has two live secrets already")
	errNoSecret       = errors.New("the client has no secret whose SHA-256 begins so")
)

func addSecretCommand(s *config.Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add-secret ID",
		Short: "Make a secret for a client and print it, this once",
		Long: "Make a secret of 256 random bits for a client and print it, alone, on stdout: it is for the client, and it is shown\n" +
			"this once. A client may have two, so that the old one works until the client has the new one.",
		Example: "  issuer clients add-secret billing --expires 2160h >billing.secret",
		Args:    oneArg("client id"),
	}
	expires := cmd.Flags().Duration("expires", 0, "when it expires, from now; 0: never")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		text, secret, err := newSecret(*expires)
		if err != nil {
			return wrongUse(err)
		}
		err = withRegistry(cmd, s, func(db *store.Store) error {
			return db.ChangeClient(cmd.Context(), args[0], "client.secret_added", func(client *clients.Client) (string, error) {
				if len(client.Secrets) >= clients.MaxSecrets {
					return "", keys.WithHint(errTooManySecrets,
						"issuer clients show "+client.ID+" tells which is not used; remove it with remove-secret")
				}
				client.Secrets = append(client.Secrets, secret)
				return secret.Name(), nil
			})
		})
		if err != nil {
			return err
		}
		return printSecret(cmd, args[0], text, &secret)
	}
	return cmd
}

func removeSecretCommand(s *config.Settings) *cobra.Command {
	return &cobra.Command{
		Use:     "remove-secret ID SHA256",
		Short:   "Remove a secret of a client, named by the first digits of its SHA-256",
		Example: "  issuer clients remove-secret billing 9f86d081",
		Args:    twoArgs("client id", "SHA-256"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withRegistry(cmd, s, func(db *store.Store) error {
				return db.ChangeClient(cmd.Context(), args[0], "client.secret_removed", func(client *clients.Client) (string, error) {
					return removeSecret(client, args[1])
				})
			})
		},
	}
}

// leastDigits are enough to tell two secrets apart, and too many for a typing error.
const leastDigits = 8

func removeSecret(client *clients.Client, digits string) (string, error) {
	for i, secret := range client.Secrets {
		if len(digits) >= leastDigits && strings.HasPrefix(fmt.Sprintf("%x", secret.Digest), strings.ToLower(digits)) {
			client.Secrets = append(client.Secrets[:i:i], client.Secrets[i+1:]...)
			return secret.Name(), nil
		}
	}
	return "", keys.WithHint(errNoSecret, "issuer clients show "+client.ID+" has the first eight digits of each")
}
