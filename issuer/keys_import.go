package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/keeper"
	"example.com/signet/issuer/internal/store"
	"example.com/signet/keys"
)

func importCommand(s *config.Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE | DIRECTORY",
		Short: "Take a private key from elsewhere in, or a whole ring with its schedule",
		Long: "Take a private key (PEM) from elsewhere in, as the last standby: it signs a full period after the one\n" +
			"before it. As the first key of its algorithm it signs at once.\n\n" +
			"A directory of keys, or what issuer keys export --private wrote, is taken in as a whole, each key with the\n" +
			"moment from which it signs: with --master-key-file that moves a ring into the database. The directory stays\n" +
			"as it is; delete it when the issuer serves from the database.",
		Example: "  issuer keys import old-issuer.pem\n" +
			"  issuer keys import keys/local/issuer --database postgres://signet@localhost/signet --master-key-file master.key\n" +
			"  issuer keys import ring.age --passphrase-file passphrase",
		Args: oneArg("FILE or DIRECTORY"),
	}
	wait, passphrase := waitFlag(cmd), passphraseFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withKeys(cmd, s, writing, func(o keeper.Operator) error {
			if err := importFrom(cmd, s, o, args[0], *passphrase); err != nil {
				return err
			}
			return finish(cmd, s, o, *wait)
		})
	}
	return cmd
}

func importFrom(cmd *cobra.Command, s *config.Settings, o keeper.Operator, path, passphraseFile string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		ring, err := keys.Directory(path).Read()
		if err != nil {
			return err
		}
		return importRing(cmd, o, ring.Keys())
	}
	if isSealed(path) {
		all, err := openArchive(path, passphraseFile)
		if err != nil {
			return err
		}
		return importRing(cmd, o, all)
	}
	return importKey(cmd, s, o, path)
}

func importKey(cmd *cobra.Command, s *config.Settings, o keeper.Operator, path string) error {
	key, err := keys.ReadPrivateKey(path)
	if err != nil {
		return err
	}
	if err := wanted(cmd, s, o, key); err != nil {
		return err
	}
	imported, err := o.Import(key)
	if err == nil {
		announce(cmd, imported)
	}
	return err
}

// importRing takes all keys in as they are, those that are there already excepted: all or none into a database, one
// after the other into a directory.
func importRing(cmd *cobra.Command, o keeper.Operator, all []keys.RingKey) error {
	if err := o.Store.Make(); err != nil {
		return err
	}
	unlock, err := o.Store.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	there, err := o.Store.Read()
	if err != nil && (errors.Is(err, keys.ErrDamaged) || !errors.Is(err, keys.ErrNoKeys)) {
		return err
	}
	missing := slices.DeleteFunc(all, func(k keys.RingKey) bool { return holdsKey(there, k.Key.ID()) })
	if err := addAll(o.Store, missing); err != nil {
		return err
	}
	for _, k := range missing {
		announce(cmd, k)
	}
	if len(missing) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "every key is there already")
	}
	return nil
}

func addAll(where keeper.Store, all []keys.RingKey) error {
	if ring, ok := where.(store.Ring); ok {
		return ring.AddAll(all...)
	}
	for _, k := range all {
		if err := where.Add(k); err != nil {
			return err
		}
	}
	return nil
}

func holdsKey(ring *keys.Ring, kid string) bool {
	return ring != nil && slices.ContainsFunc(ring.Keys(), func(k keys.RingKey) bool { return k.Key.ID() == kid })
}

// wanted refuses a key of an algorithm that neither the ring nor a resource has: it would be published and never sign.
func wanted(cmd *cobra.Command, s *config.Settings, o keeper.Operator, key *keys.PrivateKey) error {
	ring, err := o.Store.Read()
	if err != nil && (errors.Is(err, keys.ErrDamaged) || !errors.Is(err, keys.ErrNoKeys)) {
		return err
	}
	if len(o.Policy.SurveyOf(ring, key.Algorithm(), time.Now()).Keys) > 0 {
		return nil
	}
	resources, err := readResources(cmd, s)
	if err != nil {
		return err
	}
	if !slices.Contains(resources.Algorithms(), key.Algorithm()) {
		return &usageError{fmt.Errorf("importing %s: %w", key, keeper.ErrNotWanted),
			"a resource of the registry has to name " + string(key.Algorithm()) + " first"}
	}
	return nil
}

// passphraseFlag declares --passphrase-file.
func passphraseFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("passphrase-file", "", "file with the passphrase that seals the keys, or - for stdin")
}

const (
	maxPassphrase   = 1024 // octets
	leastPassphrase = 12   // characters
)

var errPassphrase = errors.New("a passphrase has 12 to 1024 characters")

func readPassphrase(path string) (string, error) {
	if path == "" {
		return "", &usageError{errors.New("no passphrase"), "name the file that holds it with --passphrase-file, or - for stdin"}
	}
	in := os.Stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxPassphrase+2))
	if err != nil {
		return "", fmt.Errorf("reading the passphrase: %w", err)
	}
	passphrase := trimLineEnd(string(text))
	if len(passphrase) < leastPassphrase || len(passphrase) > maxPassphrase {
		return "", errPassphrase
	}
	return passphrase, nil
}
