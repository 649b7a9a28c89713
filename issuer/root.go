package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"example.com/signet/issuer/internal/config"
)

func rootCommand(getenv func(string) string, stderr io.Writer) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "issuer",
		Short: "Sign access tokens for clients and publish the keys that verify them",
		Long: "Sign access tokens for clients and publish the keys that verify them.\n\n" +
			"Every flag is also an environment variable, --keys-dir is SIGNET_KEYS_DIR, and a name in the\n" +
			"settings file, dir under keys. A flag wins over the environment, the environment over the file.",
		Example:       "  go run ./issuer\n  go run ./issuer --registry registry.yaml --listen 127.0.0.1:8080",
		Args:          noArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	settings, sources := config.Bind(cmd.PersistentFlags()), new(config.Sources)
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{err, cmd.CommandPath() + " --help lists the flags"}
	})
	cmd.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		var err error
		if *sources, err = config.Load(cmd.Root().PersistentFlags(), getenv); err != nil {
			return &usageError{err, "issuer --help lists the settings"}
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), settings, stderr) }
	cmd.AddCommand(keysCommand(settings), masterKeyCommand(settings), registryCommand(settings), clientsCommand(settings),
		resourcesCommand(settings), auditCommand(settings), migrateCommand(settings), checkCommand(settings),
		configCommand(sources), versionCommand())
	return cmd
}

func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &usageError{fmt.Errorf("unknown command %q", args[0]), "issuer --help lists the commands"}
	}
	return nil
}

// group is a command that only has others. Without its own run a typo would exit 0.
func group(use, short, long string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Args: noArgs}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(commands...)
	return cmd
}

func oneArg(name string) cobra.PositionalArgs { return exactly(1, "one "+name+" is needed") }

func twoArgs(first, second string) cobra.PositionalArgs {
	return exactly(2, "a "+first+" and a "+second+" are needed")
}

func exactly(count int, problem string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != count {
			return &usageError{fmt.Errorf("%s: %s", cmd.CommandPath(), problem), cmd.CommandPath() + " --help shows the usage"}
		}
		return nil
	}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintln(cmd.OutOrStdout(), "signet issuer", version(), runtime.Version())
		},
	}
}

// version is that of the module, as the go command stamped it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}
