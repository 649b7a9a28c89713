package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"example.com/signet/issuer/internal/clients"
)

func generateSecretCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "generate-secret",
		Short: "Make a client secret; it is shown once, and only its SHA-256 goes into the registry",
		Long: "Make a client secret of 256 random bits and print it, alone, on stdout: it is for the client, and it is shown this\n" +
			"once. The lines for the client's record in the registry go to stderr. A client may have two secrets, so that the\n" +
			"old one works until the client has the new one. Where a client can hold a private key, give it that instead.",
		Example: "  issuer clients generate-secret --expires 2160h >billing.secret",
		Args:    noArgs,
	}
	expires := cmd.Flags().Duration("expires", 0, "when it expires, from now; 0: never")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *expires < 0 {
			return &usageError{fmt.Errorf("--expires %v is negative", *expires), ""}
		}
		secret, digest := clients.GenerateSecret()
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), secret); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "for the client's record:\n    secrets:\n      - sha256: %x\n", digest)
		if *expires > 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "        expires: %s\n", time.Now().Add(*expires).UTC().Format(time.RFC3339))
		}
		return nil
	}
	return cmd
}
