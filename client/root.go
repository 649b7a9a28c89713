package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func rootCommand(getenv func(string) string) *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   "client",
		Short: "Obtain an access token and call the resource server with it",
		Long: "Obtain an access token and call the resource server with it.\n\n" +
			"Every setting is also an environment variable (--client-id is SIGNET_CLIENT_ID) and a line of the file that\n" +
			"--config names (client_id). A flag wins over the environment, the environment over the file. What is of one\n" +
			"call (--output, --method, --data, --content-type) is no setting.",
		Example: "  go run ./client\n" +
			"  go run ./client call http://127.0.0.1:9000/whoami\n" +
			"  go run ./client token | go run ./client inspect -\n" +
			"  go run ./client token -o curl | curl -K - http://127.0.0.1:9000/",
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			s.flags = cmd.Flags()
			if err := load(cmd, getenv); err != nil {
				return usage(err, "client --help lists the settings")
			}
			return nil
		},
	}
	s.bind(cmd.PersistentFlags())
	_ = cmd.RegisterFlagCompletionFunc("header",
		cobra.FixedCompletions([]string{"token", "authorization"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(err, cmd.CommandPath()+" --help lists the flags")
	})
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usage(fmt.Errorf("no command %.200q", args[0]), "client help lists the commands")
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return call(cmd, &s, request{address: s.url}) }
	cmd.AddCommand(tokenCommand(&s, getenv), callCommand(&s), inspectCommand(&s), verifyCommand(&s),
		checkCommand(&s, colorsWanted(getenv)), serveCommand(&s), proxyCommand(&s), completionCommand(), versionCommand())
	cmd.CompletionOptions.DisableDefaultCmd = true
	showExamplesFirst(cmd)
	return cmd
}

// arguments checks how many arguments there are.
func arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		hint := cmd.CommandPath() + " --help shows the usage"
		switch {
		case len(args) < least:
			return usage(fmt.Errorf("%s: an argument is missing: %s", cmd.CommandPath(), cmd.Use), hint)
		case len(args) > most:
			return usage(fmt.Errorf("%s: unexpected arguments: %q", cmd.CommandPath(), args[most:]), hint)
		}
		return nil
	}
}

// oneOf is the value of a flag that is one of some words.
type oneOf struct {
	value string
	words []string
}

func (o *oneOf) String() string { return o.value }
func (o *oneOf) Type() string   { return "string" }

func (o *oneOf) Set(text string) error {
	for _, word := range o.words {
		if text == word {
			o.value = text
			return nil
		}
	}
	return fmt.Errorf("%q is none of %s", text, strings.Join(o.words, ", "))
}

// bindOutput gives a command -o with its words, the first of which is the default, and their completion.
func bindOutput(cmd *cobra.Command, output *oneOf, about string) {
	output.value = output.words[0]
	cmd.Flags().VarP(output, "output", "o", about+": "+strings.Join(output.words, ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(output.words, cobra.ShellCompDirectiveNoFileComp))
}
