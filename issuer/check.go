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
		Short: "Check settings, keys and registry as the issuer does at start",
		Long: "Read settings, keys, registry and certificate as the issuer does at start, and prove that no valid token can\n" +
			"fail by a rotation; or name all that is wrong, with its place and what mends it.",
		Example: "  issuer check\n  issuer check --keys-rotate-every 48h --keys-publish-ahead 72h",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := assemble(s, noLogs)
			if err != nil {
				return err
			}
			return p.tell(cmd.OutOrStdout())
		},
	}
}

// tell prints what has been proved.
func (p *parts) tell(w io.Writer) error {
	s, registry := p.settings, p.registry.Registry()
	_, err := fmt.Fprintf(w, "ok: rotate every %v > publish ahead %v >= 2 x max-age %v\n"+
		"ok: retention %v >= longest token lifetime %v + leeway %v\n"+
		"ok: a key signs for every algorithm that a resource wants: %v\n"+
		"ok: clients %d\n",
		s.RotateEvery, s.PublishAhead, s.JWKSMaxAge, s.Retention, registry.LongestLifetime(), s.Leeway,
		registry.Algorithms(), registry.Len())
	if err == nil && p.certificate != nil {
		_, err = fmt.Fprintf(w, "ok: the TLS certificate is good until %v\n", p.certificate.NotAfter().UTC())
	}
	return err
}
