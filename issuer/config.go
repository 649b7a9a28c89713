package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.com/signet/issuer/internal/config"
)

// setting is a setting as issuer config shows it.
type setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"`
}

func configCommand(sources *config.Sources) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show each setting and where it came from",
		Long: "Show each setting and where its value came from: a flag, an environment variable, a line of the settings file,\n" +
			"or the default. Values that break a rule are shown too; issuer check names them.",
		Example: "  issuer config\n  SIGNET_LEEWAY=10s issuer config --config settings.yaml -o json",
		Args:    noArgs,
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var all []setting
		cmd.Root().PersistentFlags().VisitAll(func(flag *pflag.Flag) {
			from := (*sources)[flag.Name]
			if from == "" {
				from = "default"
			}
			all = append(all, setting{flag.Name, config.Redact(flag.Value.String()), from})
		})
		return printAs(cmd.OutOrStdout(), *output, all, func(w io.Writer) error { return printSettings(w, all) })
	}
	return cmd
}

func printSettings(w io.Writer, all []setting) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SETTING\tVALUE\tFROM")
	for _, one := range all {
		value := one.Value
		if value == "" {
			value = "-"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", one.Name, value, one.From)
	}
	return table.Flush()
}
