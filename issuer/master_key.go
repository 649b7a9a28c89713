package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/masterkey"
	"example.com/signet/issuer/internal/store"
)

var errNoMasterKey = errors.New("no master key")

// masterKeyCommand is the parent of what an operator does with master keys.
func masterKeyCommand(s *config.Settings) *cobra.Command {
	return group("master-key", "Make and replace the key that seals signing keys in the database",
		"Make and replace the master key, which seals the signing keys in the database and is never in it. Keep a copy in\n"+
			"another place: without it the signing keys of a backup are lost.\n\n"+
			"To replace one: add a new one to the file (generate --append), give the file to every issuer, seal all keys\n"+
			"under the new one (rotate), then delete the first line of the file everywhere.",
		masterKeyGenerateCommand(), masterKeyListCommand(s), masterKeyRotateCommand(s))
}

func masterKeyGenerateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "generate FILE",
		Short: "Make a master key in a new file, or a second one in a file that has one",
		Long: "Make a master key in a new file that only you can read. With --append, add a second one to a file that has one;\n" +
			"signing keys stay under the first until issuer master-key rotate.",
		Example: "  issuer master-key generate master.key\n  issuer master-key generate --append master.key",
		Args:    oneArg("FILE"),
	}
	second := cmd.Flags().Bool("append", false, "add it to the file")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		generate := masterkey.Create
		if *second {
			generate = masterkey.Append
		}
		key, err := generate(args[0])
		if err != nil {
			return wrongUse(err)
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), key.ID())
		return err
	}
	return cmd
}

// listedMasterKey is a master key as master-key list -o json shows it.
type listedMasterKey struct {
	ID    string `json:"id"`
	Seals bool   `json:"seals"` // the signing keys in the database
}

func masterKeyListCommand(s *config.Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "Show the ids of the master keys in --master-key-file, and which of them seals the signing keys",
		Example: "  issuer master-key list --master-key-file master.key",
		Args:    noArgs,
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if s.MasterKeyFile == "" {
			return &usageError{errNoMasterKey, "name its file with --master-key-file"}
		}
		ring, err := masterkey.Read(s.MasterKeyFile)
		if err != nil {
			return wrongUse(fmt.Errorf("--master-key-file: %w", err))
		}
		return withStore(cmd, s, reading, func(db *store.Store) error {
			current, err := db.MasterKey(cmd.Context())
			if err != nil {
				return err
			}
			var all []listedMasterKey
			for _, id := range ring.IDs() {
				all = append(all, listedMasterKey{id, id == current})
			}
			return printAs(cmd.OutOrStdout(), *output, all, func(w io.Writer) error { return printMasterKeys(w, all, current) })
		})
	}
	return cmd
}

func printMasterKeys(w io.Writer, all []listedMasterKey, current string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tSEALS THE SIGNING KEYS")
	found := current == ""
	for _, key := range all {
		seals := "no"
		if key.Seals {
			seals, found = "yes", true
		}
		fmt.Fprintf(table, "%s\t%s\n", key.ID, seals)
	}
	if !found {
		fmt.Fprintf(table, "%s\tyes, and it is not in the file\n", current)
	}
	return table.Flush()
}

func masterKeyRotateCommand(s *config.Settings) *cobra.Command {
	return &cobra.Command{
		Use:   "rotate",
		Short: "Seal every signing key under the newest master key, the last in the file",
		Long: "Seal every signing key under the last master key of --master-key-file, all or none. The file must still hold the\n" +
			"one before it. Every issuer must have that file already: one without the new key serves the keys that it knows,\n" +
			"and reports trouble until it has it.",
		Example: "  issuer master-key rotate --database postgres://signet@localhost/signet --master-key-file master.key",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if s.MasterKeyFile == "" {
				return &usageError{errNoMasterKey, "name its file with --master-key-file"}
			}
			return withStore(cmd, s, writing, func(db *store.Store) error {
				before, after, err := store.Ring{Store: db, MasterKeys: s.MasterKeyFile}.RotateMaster()
				if err != nil {
					return wrongUse(err)
				}
				if before == after {
					fmt.Fprintf(cmd.ErrOrStderr(), "nothing to do: %s seals every signing key, and is the last in the file\n", after)
					return nil
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "every signing key is sealed under %s; delete the line of %s from the file, everywhere\n",
					after, before)
				_, err = fmt.Fprintln(cmd.OutOrStdout(), after)
				return err
			})
		},
	}
}
