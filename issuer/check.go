package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"example.com/signet/issuer/internal/config"
)

func checkCommand(s *config.Settings) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check settings, keys, database and registry as the issuer does at start",
		Long: "Read settings, keys, database, registry and certificate as the issuer does at start, and prove that no valid token can\n" +
			"fail by a rotation; or name all that is wrong, with its place and what mends it.",
		Example: "  issuer check\n  issuer check --keys-rotate-every 48h --keys-publish-ahead 72h",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := assemble(cmd.Context(), s, noLogs, reading)
			if err != nil {
				return err
			}
			defer p.close()
			return p.tell(cmd.OutOrStdout())
		},
	}
}

// tell prints what has been proved.
func (p *parts) tell(w io.Writer) error {
	s, resources := p.settings, p.registry.resources()
	_, err := fmt.Fprintf(w, "ok: rotate every %v > publish ahead %v >= 2 x max-age %v\n"+
		"ok: retention %v >= longest token lifetime %v + leeway %v\n"+
		"ok: a key signs for every algorithm that a resource wants: %v\n"+
		"ok: database: %v\n"+
		"ok: resources %d\n",
		s.RotateEvery, s.PublishAhead, s.JWKSMaxAge, s.Retention, resources.LongestLifetime(), s.Leeway,
		resources.Algorithms(), p.store, resources.Len())
	if err == nil && p.certificate != nil {
		_, err = fmt.Fprintf(w, "ok: the TLS certificate is good until %v\n", p.certificate.NotAfter().UTC())
	}
	return err
}
