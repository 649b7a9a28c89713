package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/keeper"
)

func revokeCommand(s *config.Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke KID | --all",
		Short: "Delete a key that others may have, at once",
		Long: "Delete a key that others may have, at once. When it is the one that signs, the standby signs from now on.\n" +
			"--all is for a stolen host or directory: every key is replaced, standbys included, and new ones sign at\n" +
			"once; verifiers learn them by their unknown kid.",
		Example: "  issuer keys revoke KooswZGHqGEPDaHB-MlARPjic5dJbVv7qLUvr_R8suo --wait\n" +
			"  issuer keys revoke --wait -- -oswZGHqGEPDaHB-MlARPjic5dJbVv7qLUvr_R8suoK\n  issuer keys revoke --all",
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return &usageError{err, "a kid that begins with - goes behind --: issuer keys revoke -- KID"}
	})
	all, wait := cmd.Flags().Bool("all", false, "replace every key"), waitFlag(cmd)
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if *all != (len(args) == 0) || len(args) > 1 {
			return &usageError{errors.New("name one kid, or --all"), "issuer keys list shows the kids"}
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withKeys(cmd, s, writing, func(o keeper.Operator) error {
			if err := revoke(o, args); err != nil {
				return err
			}
			if err := finish(cmd, s, o, *wait); err != nil {
				return err
			}
			explainExposure(cmd, s, *wait)
			return nil
		})
	}
	return cmd
}

// revoke deletes the key that is named, or every key.
func revoke(o keeper.Operator, args []string) error {
	if len(args) == 0 {
		return o.RevokeAll()
	}
	return o.Revoke(args[0])
}

// explainExposure says how long what was revoked may still be accepted.
func explainExposure(cmd *cobra.Command, s *config.Settings, served bool) {
	exposure := max(s.JWKSMaxAge, usualRefresh)
	since := "once the running issuer serves the change, within seconds"
	if served {
		since = "from now"
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "revoked. Worst case, counted %s:\n"+
		"  verifiers that reach the issuer accept the key's tokens for %v, until %s: the JWK Set's max-age,\n"+
		"    or a minute where they ask no oftener, as Signet's do unless told otherwise\n"+
		"  verifiers that cannot reach it, for as long as they keep old keys (Signet's: 24h)\n",
		since, exposure, time.Now().Add(exposure).UTC().Format(time.RFC3339))
}
