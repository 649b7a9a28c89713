package main

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"example.com/signet/issuer/internal/config"
)

func checkCommand(s *config.Settings) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check settings, keys and registry as the issuer does at start",
		Long: "Read settings, keys and registry as the issuer does at start, and prove that no valid token can fail by a\n" +
			"rotation; or name what is wrong, with the smallest change that mends it.",
		Example: "  issuer check\n  issuer check --keys-rotate-every 48h --keys-publish-ahead 72h",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := assemble(s, slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			longest := p.registry.LongestLifetime()
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "ok: rotate every %v > publish ahead %v >= 2 x max-age %v\n"+
				"ok: retention %v >= longest token lifetime %v + leeway %v\n"+
				"ok: a key signs for every algorithm that a resource wants: %v\n",
				s.RotateEvery, s.PublishAhead, s.JWKSMaxAge, s.Retention, longest, s.Leeway, p.registry.Algorithms())
			return err
		},
	}
}
