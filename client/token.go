package main

import "github.com/spf13/cobra"

func tokenCommand(s *settings, getenv func(string) string) *cobra.Command {
	output := oneOf{words: []string{"text", "json", "header", "env", "curl", "exec-credential"}}
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Print a token, alone or for a program that takes one",
		Long: "Print a token, alone or for a program that takes one. With -o:\n" +
			"  text             the token alone\n" +
			"  json             with its type, end and scope, as the issuer's answer has them\n" +
			"  header           a line for a request, as --header says\n" +
			"  env              a line for a shell to eval; the variable is SIGNET_ACCESS_TOKEN\n" +
			"  curl             a line for curl -K, which keeps the token out of the list of processes\n" +
			"  exec-credential  what kubectl expects of a credential plugin",
		Example: "  go run ./client token\n" +
			"  go run ./client token -o json\n" +
			"  go run ./client token -o curl | curl -K - http://127.0.0.1:9000/\n" +
			"  eval \"$(go run ./client token -o env)\"",
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			source, err := s.source(cmd, "")
			if err != nil {
				return err
			}
			defer source.Close()
			token, err := source.Token(cmd.Context())
			if err != nil {
				return err
			}
			carrier, err := s.carrier()
			if err != nil {
				return err
			}
			return formats[output.value](cmd.OutOrStdout(), printedToken{token, carrier, getenv("KUBERNETES_EXEC_INFO")})
		},
	}
	bindOutput(cmd, &output, "how to print it")
	return cmd
}
