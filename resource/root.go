package main

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func rootCommand(getenv func(string) string, stderr io.Writer) *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   "resource",
		Short: "Serve an API that only valid access tokens open",
		Long: "Serve an API that only valid access tokens open.\n\n" +
			"Every flag is also an environment variable: --audience is SIGNET_AUDIENCE. A flag wins.",
		Example: "  go run ./resource\n" +
			"  go run ./resource --issuer https://issuer.example.com --audience https://orders.example.com \\\n" +
			"    --upstream http://127.0.0.1:3000",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	s.bind(cmd.Flags())
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return &usageError{err, "resource --help lists the flags"}
	})
	cmd.Args = noArguments
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		err := fromEnvironment(cmd.Flags(), getenv)
		if err == nil {
			err = s.check()
		}
		if err != nil {
			return &usageError{err, "resource --help lists the settings"}
		}
		return serve(cmd.Context(), s, stderr)
	}
	cmd.AddCommand(versionCommand())
	return cmd
}

func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &usageError{fmt.Errorf("unknown command %q", args[0]), "resource --help lists the commands"}
	}
	return nil
}

// fromEnvironment sets the flags that the command line did not. Empty variables count as not set.
func fromEnvironment(flags *pflag.FlagSet, getenv func(string) string) error {
	var problems []error
	flags.VisitAll(func(flag *pflag.Flag) {
		name := "SIGNET_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		value := getenv(name)
		if flag.Changed || value == "" || flag.Name == "help" {
			return
		}
		if err := flags.Set(flag.Name, value); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
		}
	})
	return errors.Join(problems...)
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArguments,
		Run: func(cmd *cobra.Command, _ []string) {
			version := "unknown"
			if info, ok := debug.ReadBuildInfo(); ok {
				version = info.Main.Version + " " + info.GoVersion
			}
			fmt.Fprintln(cmd.OutOrStdout(), "signet resource", version)
		},
	}
}
