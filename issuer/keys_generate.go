package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/keeper"
	"example.com/signet/keys"
)

func generateCommand(s *config.Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Make the keys that are missing: the first, which sign at once, and standbys",
		Long: "Make the keys that are missing: for each algorithm the first, which signs at once, and a standby, which\n" +
			"signs a full period later. A running issuer makes standbys by itself.",
		Example: "  issuer keys generate\n  issuer keys generate --alg ES256",
		Args:    noArgs,
	}
	alg, wait := algorithmFlag(cmd), waitFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		algs, err := chosen(*alg)
		if err != nil {
			return err
		}
		return withKeys(cmd, s, writing, func(o keeper.Operator) error {
			for _, alg := range algs {
				if err := generate(cmd, o, alg); err != nil {
					return err
				}
			}
			return finish(cmd, s, o, *wait)
		})
	}
	return cmd
}

// generate makes the first key and the standby of an algorithm, as far as they are missing.
func generate(cmd *cobra.Command, o keeper.Operator, alg keys.Algorithm) error {
	for made := 0; ; made++ {
		key, err := o.Generate(alg)
		if errors.Is(err, keeper.ErrNothingMissing) {
			if made == 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s: nothing is missing\n", alg)
			}
			return nil
		}
		if err != nil {
			return err
		}
		announce(cmd, key)
	}
}

// announce prints a key that was made or moved: kid, algorithm and when it signs from.
func announce(cmd *cobra.Command, k keys.RingKey) {
	fmt.Fprintf(cmd.OutOrStdout(), "%s\t%s\tsigns from %s\n", k.Key.ID(), k.Key.Algorithm(), k.SignsFrom.UTC().Format(time.RFC3339))
}

// finish waits for the running issuer when that is asked for.
func finish(cmd *cobra.Command, s *config.Settings, o keeper.Operator, wait bool) error {
	if !wait {
		return nil
	}
	return waitServed(cmd.Context(), s, o.Store)
}
