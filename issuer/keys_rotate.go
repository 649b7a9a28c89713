package main

import (
	"github.com/spf13/cobra"

	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/keeper"
)

func rotateCommand(s *config.Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Make the standby sign now, if every verifier has it",
		Long: "Make the standby sign now. It is refused while the standby is published for less than\n" +
			"--keys-publish-ahead, and then says from when it is safe. Keys rotate by themselves every\n" +
			"--keys-rotate-every; this is for those who want it sooner.",
		Example: "  issuer keys rotate --alg ES256 --wait",
		Args:    noArgs,
	}
	alg, wait := algorithmFlag(cmd), waitFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withKeys(cmd, s, writing, func(o keeper.Operator) error {
			algs, err := present(o, *alg)
			if err != nil {
				return err
			}
			for _, alg := range algs {
				key, err := o.Rotate(alg)
				if err != nil {
					return err
				}
				announce(cmd, key)
			}
			return finish(cmd, s, o, *wait)
		})
	}
	return cmd
}
