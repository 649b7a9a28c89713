package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"example.com/signet/issuer/internal/config"
	"example.com/signet/keys"
)

func exportCommand(s *config.Settings) *cobra.Command {
	return &cobra.Command{
		Use:     "export",
		Short:   "Print the public keys as a JWK Set",
		Example: "  issuer keys export > jwks.json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ring, err := keys.Directory(s.KeysDir).Read()
			if err != nil {
				return wrongUse(err)
			}
			set, err := ring.Published(time.Now()).MarshalJSON()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", set)
			return err
		},
	}
}
