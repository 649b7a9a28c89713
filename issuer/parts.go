package main

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/keeper"
	"example.com/signet/keys"
)

// parts are what the issuer reads before it serves, checked against one another.
type parts struct {
	keeper   *keeper.Keeper
	registry *clients.Registry
}

// assemble reads keys and registry and proves that they and the settings fit together. The error names everything that
// does not.
func assemble(s *config.Settings, log *slog.Logger) (*parts, error) {
	k, err := keeper.Open(keeper.Config{Dir: keys.Directory(s.KeysDir), Policy: policyOf(s), Log: log})
	if errors.Is(err, keys.ErrNoKeys) {
		return nil, &usageError{err, "make keys: scripts/genkeys.sh, or issuer keys generate (or name their directory with --keys-dir)"}
	}
	if err != nil {
		return nil, &usageError{err, ""}
	}
	if err := keys.Directory(s.KeysDir).Writable(); errors.Is(err, keys.ErrReadOnly) {
		log.Info("the key directory cannot be written, so rotation is yours; a warning comes a day ahead", "keys_dir", s.KeysDir)
	}
	registry, err := readRegistry(s, log)
	if err != nil {
		return nil, err
	}
	if err := policyOf(s).Check(s.JWKSMaxAge, registry.LongestLifetime(), s.Leeway); err != nil {
		return nil, &usageError{err, policyHint}
	}
	if s.JWKSMaxAge < usualRefresh {
		log.Warn("verifiers that ask no oftener than every minute keep keys for longer than --jwks-max-age; tell them, "+
			"Signet's with --jwks-min-refresh", "jwks_max_age", s.JWKSMaxAge.String())
	}
	p := &parts{k, registry}
	return p, p.checkSigners()
}

// usualRefresh is how long a verifier of Signet's keeps a set whose max-age is shorter: a minute, and a tenth of jitter.
const usualRefresh = 66 * time.Second

func policyOf(s *config.Settings) keys.Policy {
	return keys.Policy{RotateEvery: s.RotateEvery, PublishAhead: s.PublishAhead, Retention: s.Retention}
}

// checkSigners reports whether each algorithm that a resource wants has a key that signs now.
func (p *parts) checkSigners() error {
	for _, alg := range p.registry.Algorithms() {
		if _, err := p.keeper.Active(alg, time.Now()); err != nil {
			return &usageError{err, "if the clock is right, make one: issuer keys generate --alg " + string(alg)}
		}
	}
	return nil
}

// readRegistry reads the registry, or makes the one for development when there is none.
func readRegistry(s *config.Settings, log *slog.Logger) (*clients.Registry, error) {
	if s.Registry != "" {
		registry, err := clients.ReadFile(s.Registry)
		if err != nil {
			return nil, &usageError{err, ""}
		}
		return registry, nil
	}
	path := filepath.Join(filepath.Dir(s.KeysDir), "client", clients.DevelopmentClient+".pub.pem")
	key, err := keys.ReadPublicKey(path)
	if err != nil {
		return nil, &usageError{
			fmt.Errorf("reading the development client's key: %w", err),
			"make it: scripts/genkeys.sh (or name your clients in a file with --registry)"}
	}
	log.Warn("DEVELOPMENT registry: one client and one resource, not for use; --registry names your own",
		"client_id", clients.DevelopmentClient, "audience", clients.DevelopmentAudience, "client_key", path)
	return clients.Development(key)
}
