package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"example.com/signet/client/internal/doctor"
)

func checkCommand(s *settings, colored func(io.Writer) bool) *cobra.Command {
	output := oneOf{words: []string{"text", "json"}}
	cmd := &cobra.Command{
		Use:   "check [ISSUER]",
		Short: "Examine an issuer, Signet's or any other, as its clients and resource servers see it",
		Long: "Examine an issuer, Signet's or any other, as its clients and resource servers see it: metadata, JWK Set, key\n" +
			"sizes and names, caching against rotation, token endpoint, clock, TLS. It sends some ten requests, none of them\n" +
			"with a credential. Each finding is graded, and those that matter say why and what to do. Without ISSUER it is\n" +
			"the one of --issuer.\n" +
			"Exit code 0: no errors; 1: errors.",
		Example: "  go run ./client check http://127.0.0.1:8080\n  go run ./client check http://127.0.0.1:8080 -o json",
		Args:    arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			issuer := s.issuer
			if len(args) > 0 {
				issuer = args[0]
			}
			report, err := doctor.Examine(cmd.Context(), doctor.Config{Issuer: issuer})
			if err != nil {
				return usage(err, "name an issuer as its tokens do: https://issuer.example.com")
			}
			w := cmd.OutOrStdout()
			if output.value == "json" {
				err = writeJSON(w, report)
			} else {
				err = report.WriteText(w, colored(w))
			}
			if err != nil || report.Worst() < doctor.Error {
				return err
			}
			return &failure{fmt.Errorf("%s has errors", issuer), exitFailure, ""}
		},
	}
	bindOutput(cmd, &output, "how to print the findings")
	return cmd
}
