package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/keeper"
	"example.com/signet/keys"
)

func importCommand(s *config.Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Take a private key from elsewhere in, as the next standby",
		Long: "Take a private key (PEM) from elsewhere in, as the last standby: it signs a full period after the one\n" +
			"before it. As the first key of its algorithm it signs at once.",
		Example: "  issuer keys import old-issuer.pem",
		Args:    oneArg("FILE"),
	}
	wait := waitFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		key, err := keys.ReadPrivateKey(args[0])
		if err != nil {
			return wrongUse(err)
		}
		if err := wanted(s, key); err != nil {
			return err
		}
		imported, err := operatorOf(s).Import(key)
		if err != nil {
			return wrongUse(err)
		}
		announce(cmd, imported)
		return finish(cmd, s, *wait)
	}
	return cmd
}

// wanted refuses a key of an algorithm that neither the ring nor a resource has: it would be published and never sign.
func wanted(s *config.Settings, key *keys.PrivateKey) error {
	ring, err := keys.Directory(s.KeysDir).Read()
	if err != nil && !errors.Is(err, keys.ErrNoKeys) {
		return wrongUse(err)
	}
	if len(policyOf(s).SurveyOf(ring, key.Algorithm(), time.Now()).Keys) > 0 {
		return nil
	}
	registry, err := readRegistry(s)
	if err != nil {
		return err
	}
	if !slices.Contains(registry.Algorithms(), key.Algorithm()) {
		return &usageError{fmt.Errorf("importing %s: %w", key, keeper.ErrNotWanted),
			"a resource of the registry (--registry) has to name " + string(key.Algorithm()) + " first"}
	}
	return nil
}
