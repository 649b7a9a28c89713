package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/keeper"
	"example.com/signet/issuer/internal/store"
	"example.com/signet/keys"
)

// keysCommand is the parent of what an operator does with keys. Its commands change the keys where they are, and a running
// issuer sees that by itself.
func keysCommand(s *config.Settings) *cobra.Command {
	cmd := group("keys", "Look at the signing keys, and change them safely",
		"Look at the signing keys, and change them safely. The commands change the files in --keys-dir, or the database\n"+
			"where --master-key-file seals them; a running issuer sees that by itself, and --wait returns when it serves\n"+
			"the change.",
		listCommand(s), generateCommand(s), rotateCommand(s), revokeCommand(s), importCommand(s), exportCommand(s))
	for _, sub := range cmd.Commands() {
		sub.RunE = afterPolicy(s, sub.RunE)
	}
	return cmd
}

const policyHint = "the settings are --keys-rotate-every, --keys-publish-ahead, --keys-retention and --jwks-max-age"

// afterPolicy runs a command only under a policy that an issuer would start with, as far as is known without a registry:
// a schedule that breaks verifiers is neither to be shown nor acted on.
func afterPolicy(s *config.Settings, run func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := s.Check(); err != nil {
			return &usageError{err, ""}
		}
		if err := policyOf(s).Check(s.JWKSMaxAge, 0, s.Leeway); err != nil {
			return &usageError{err, policyHint}
		}
		return run(cmd, args)
	}
}

// withKeys runs a command on the signing keys, where they are.
func withKeys(cmd *cobra.Command, s *config.Settings, open opening, run func(keeper.Operator) error) error {
	if s.MasterKeyFile == "" {
		return wrongUse(run(keeper.Operator{Store: keyStore(s, nil), Policy: policyOf(s)}))
	}
	return withStore(cmd, s, open, func(db *store.Store) error {
		return wrongUse(run(keeper.Operator{Store: keyStore(s, db), Policy: policyOf(s)}))
	})
}

// wrongUse makes an operator's error one that a person has to mend, with its own hint if it has one.
func wrongUse(err error) error {
	var usage *usageError
	if err == nil || errors.As(err, &usage) || errors.Is(err, store.ErrAway) { // time may mend the last
		return err
	}
	return &usageError{err, ""}
}

// algorithmFlag declares --alg; the value "all" stands for every algorithm that the ring has keys of, or for both.
func algorithmFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("alg", "all", "ES256, RS256 or all")
}

func chosen(alg string) ([]keys.Algorithm, error) {
	if alg == "all" {
		return keys.Algorithms(), nil
	}
	one, err := keys.ParseAlgorithm(alg)
	if err != nil {
		return nil, &usageError{err, "--alg is ES256, RS256 or all"}
	}
	return []keys.Algorithm{one}, nil
}

// present returns the algorithms that the ring has keys of, or the one that is named.
func present(o keeper.Operator, alg string) ([]keys.Algorithm, error) {
	algs, err := chosen(alg)
	if err != nil || alg != "all" {
		return algs, err
	}
	ring, err := o.Store.Read()
	if err != nil {
		return nil, err
	}
	algs = nil
	for _, survey := range o.Policy.Survey(ring, time.Now()) {
		algs = append(algs, survey.Algorithm)
	}
	return algs, nil
}

const (
	waitAtMost = 30 * time.Second
	waitStep   = 100 * time.Millisecond
)

// waitFlag declares --wait.
func waitFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("wait", false, "return when the running issuer serves the change, or fail after 30s")
}

// waitServed waits until the issuer that listens on --private-listen publishes just the keys of the store, those that sign
// first.
func waitServed(ctx context.Context, s *config.Settings, where keeper.Store) error {
	ctx, cancel := context.WithTimeout(ctx, waitAtMost)
	defer cancel()
	for {
		err := served(ctx, s, where)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return &usageError{fmt.Errorf("waiting for the running issuer: %w", err),
				"the change is made; does an issuer with these keys run with --private-listen " + s.PrivateListen + "?"}
		case <-time.After(waitStep):
		}
	}
}

var errOtherKeys = errors.New("it serves other keys still")

func served(ctx context.Context, s *config.Settings, where keeper.Store) error {
	ring, err := where.Read()
	if ring == nil {
		return err
	}
	want := ring.Published(time.Now().Add(time.Second)) // two keys never sign from one second, so one may wait for the next
	got, err := fetchServed(ctx, s)
	if err != nil {
		return err
	}
	if got.Len() != want.Len() {
		return errOtherKeys
	}
	for key := range want.All() {
		if got.Key(key.ID()) == nil {
			return errOtherKeys
		}
	}
	for _, alg := range keys.Algorithms() {
		if first(got, alg) != first(want, alg) {
			return errOtherKeys
		}
	}
	return nil
}

// first is the kid of the first key of an algorithm: the one that signs.
func first(set *keys.Set, alg keys.Algorithm) string {
	for key := range set.All() {
		if key.Algorithm() == alg {
			return key.ID()
		}
	}
	return ""
}

func fetchServed(ctx context.Context, s *config.Settings) (*keys.Set, error) {
	body, err := askRunning(ctx, s, "/.well-known/jwks.json")
	if err != nil {
		return nil, err
	}
	set, _, err := keys.ParseSet(body)
	return set, err
}
