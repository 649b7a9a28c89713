package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func tokenCommand(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:     "token",
		Short:   "Print a token, alone",
		Example: "  go run ./client token\n  curl -H \"Token: $(go run ./client token)\" http://127.0.0.1:9000/",
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			source, err := s.source("")
			if err != nil {
				return err
			}
			token, err := source.Token(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token.AccessToken())
			return err
		},
	}
}
