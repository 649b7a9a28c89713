package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/keeper"
)

func exportCommand(s *config.Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print the public keys as a JWK Set, or write the private ones to a sealed file",
		Long: "Print the public keys as a JWK Set.\n\n" +
			"With --private, write the private keys with their schedule to a new file, a tar archive that age seals with a\n" +
			"passphrase: issuer keys import takes it in again, and age --decrypt opens it.",
		Example: "  issuer keys export > jwks.json\n  issuer keys export --private ring.age --passphrase-file passphrase",
		Args:    noArgs,
	}
	private, passphrase := cmd.Flags().String("private", "", "new file for the private keys, sealed"), passphraseFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *passphrase != "" && *private == "" {
			return &usageError{errors.New("--passphrase-file is for private keys"), "name a file for them with --private"}
		}
		return withKeys(cmd, s, reading, func(o keeper.Operator) error {
			ring, damage := o.Store.Read()
			if ring == nil {
				return damage
			}
			if *private != "" {
				return errors.Join(writeArchive(*private, ring, *passphrase), damage)
			}
			set, err := ring.Published(time.Now()).MarshalJSON()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", set)
			return errors.Join(err, damage)
		})
	}
	return cmd
}
