package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// showExamplesFirst makes help begin with something to type. It is written without templates, which would keep the
// linker from leaving out what is not used, and the program a quarter larger.
func showExamplesFirst(root *cobra.Command) {
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { writeHelp(cmd.OutOrStdout(), cmd) })
	root.SetHelpCommand(helpCommand())
}

func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Print the help of a command",
		Example: "  go run ./client help token",
		RunE: func(cmd *cobra.Command, args []string) error {
			target, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usage(fmt.Errorf("no command %.200q", strings.Join(args, " ")), "client help lists the commands")
			}
			return target.Help()
		},
	}
}

func writeHelp(w io.Writer, cmd *cobra.Command) {
	fmt.Fprintf(w, "Examples:\n%s\n\n%s\n\nUsage:\n  %s\n", cmd.Example, cmp.Or(cmd.Long, cmd.Short), cmd.UseLine())
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "  %s [command]\n\nCommands:\n", cmd.CommandPath())
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() || sub.Name() == "help" {
				fmt.Fprintf(w, "  %-*s  %s\n", cmd.NamePadding(), sub.Name(), sub.Short)
			}
		}
	}
	if flags := cmd.LocalFlags(); flags.HasAvailableFlags() {
		fmt.Fprintf(w, "\nFlags:\n%s", flags.FlagUsages())
	}
	if flags := cmd.InheritedFlags(); flags.HasAvailableFlags() && usesSettings(cmd) {
		fmt.Fprintf(w, "\nSettings of every command:\n%s", flags.FlagUsages())
	}
}

// usesSettings reports whether a command does anything but print.
func usesSettings(cmd *cobra.Command) bool {
	return !slices.Contains([]string{"completion", "help", "version"}, cmd.Name())
}

func completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print a script that completes commands and flags in a shell",
		Long: "Print a script with which a shell completes the commands and flags of an installed client.\n" +
			"For bash, load it in ~/.bashrc; for the others, see their manuals.",
		Example:   "  go run ./client completion bash >client.bash\n  . ./client.bash",
		Args:      arguments(1, 1),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			root, w := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(w, true)
			case "zsh":
				return root.GenZshCompletion(w)
			case "fish":
				return root.GenFishCompletion(w, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(w)
			}
			return usage(errUnknownShell(args[0]), "client completion --help names them")
		},
	}
}

var shells = []string{"bash", "zsh", "fish", "powershell"}

func errUnknownShell(name string) error {
	return fmt.Errorf("%.50q is none of the shells %s", name, strings.Join(shells, ", "))
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  go run ./client version",
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			version := "unknown"
			if info, ok := debug.ReadBuildInfo(); ok {
				version = info.Main.Version + " " + info.GoVersion
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "signet client", version)
			return err
		},
	}
}
