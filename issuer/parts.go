package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/keeper"
	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/issuer/internal/server"
	"example.com/signet/issuer/internal/store"
	"example.com/signet/keys"
)

// logs are where the issuer talks and where it keeps its audit trail.
type logs struct{ log, audit *slog.Logger }

var noLogs = logs{slog.New(slog.DiscardHandler), slog.New(slog.DiscardHandler)}

// parts are what the issuer reads before it serves, checked against one another.
type parts struct {
	settings    *config.Settings
	store       *store.Store
	keeper      *keeper.Keeper
	registry    *source
	certificate *server.Certificate // nil: plain HTTP
}

// assemble checks the settings, opens the database, reads keys, registry and certificate, and proves that they fit
// together. The error joins everything that does not. The caller closes the parts.
func assemble(ctx context.Context, s *config.Settings, to logs, open opening) (*parts, error) {
	p := &parts{settings: s}
	wrong := wrongUse(s.Check())
	problems := []error{wrong, p.openCertificate(to.log)}
	if open == serving && errors.Join(problems...) != nil {
		open = reading // it will not serve, so nothing is to be made, and nothing to be waited for
	}
	var err error
	if p.store, err = openStore(ctx, s, to.log, open); err != nil {
		return nil, errors.Join(append(problems, err)...) // what is in it cannot be told
	}
	problems = append(problems, p.openKeys(to), p.openRegistry(ctx, to.log, wrong == nil))
	if err := errors.Join(problems...); err != nil {
		p.close()
		return nil, err
	}
	p.warn(to.log)
	return p, nil
}

func (p *parts) close() { _ = p.store.Close() }

// keyStore is where the signing keys are: sealed in the database where there is a master key, else in files.
func keyStore(s *config.Settings, db *store.Store) keeper.Store {
	if s.MasterKeyFile != "" {
		return store.Ring{Store: db, MasterKeys: s.MasterKeyFile}
	}
	return keys.Directory(s.KeysDir)
}

func (p *parts) openKeys(to logs) error {
	where := keyStore(p.settings, p.store)
	k, err := keeper.Open(keeper.Config{Store: where, Policy: policyOf(p.settings), Log: to.log, Audit: to.audit})
	if errors.Is(err, keys.ErrNoKeys) && !errors.Is(err, keys.ErrDamaged) {
		return &usageError{err, noKeysHint(p.settings)}
	}
	p.keeper = k
	return wrongUse(err)
}

func noKeysHint(s *config.Settings) string {
	if s.MasterKeyFile != "" {
		return "make keys: issuer keys generate; or take those of a directory in: issuer keys import DIRECTORY"
	}
	return "make keys: scripts/genkeys.sh, or issuer keys generate (or name their directory with --keys-dir)"
}

func (p *parts) openCertificate(log *slog.Logger) error {
	s := p.settings
	if s.TLSCert == "" || s.TLSKey == "" {
		return nil
	}
	certificate, err := server.OpenCertificate(s.TLSCert, s.TLSKey, log, time.Now)
	p.certificate = certificate
	if err != nil {
		return wrongUse(fmt.Errorf("--tls-cert and --tls-key: %w", err))
	}
	return nil
}

// openRegistry reads the registry. Whether it fits keys and settings is asked only when there are keys, and settings that
// make sense.
func (p *parts) openRegistry(ctx context.Context, log *slog.Logger, settingsMakeSense bool) (err error) {
	fits := p.fits
	if p.keeper == nil || !settingsMakeSense {
		fits = func(*clients.Resources) error { return nil }
	}
	if p.settings.Registry != "" {
		p.registry, err = fileSource(p.settings, fits, log)
		return wrongRegistry(err)
	}
	p.registry, err = databaseSource(ctx, p.settings, p.store, fits, log)
	return err
}

// wrongRegistry names the setting where the registry's own error names only a file.
func wrongRegistry(err error) error {
	if wrong := (*clients.FileError)(nil); errors.Is(err, fs.ErrNotExist) && !errors.As(err, &wrong) {
		err = fmt.Errorf("--registry: %w", err)
	}
	return wrongUse(err)
}

// fits reports whether the issuer can serve the resources: no valid token can fail by a rotation, and each algorithm that
// one of them wants has a key that signs.
func (p *parts) fits(resources *clients.Resources) error { return fit(p.settings, p.keeper, resources) }

func (p *parts) checkSigners(resources *clients.Resources) error {
	return checkSigners(p.keeper, resources)
}

func fit(s *config.Settings, signers oauth.Keys, resources *clients.Resources) error {
	err := policyOf(s).Check(s.JWKSMaxAge, resources.LongestLifetime(), s.Leeway)
	if err != nil {
		err = &usageError{err, policyHint}
	}
	return errors.Join(err, checkSigners(signers, resources))
}

func checkSigners(signers oauth.Keys, resources *clients.Resources) error {
	var problems []error
	for _, alg := range resources.Algorithms() {
		if _, err := signers.Active(alg, time.Now()); err != nil {
			hint := "if the clock is right, make one: issuer keys generate --alg " + string(alg)
			problems = append(problems, &usageError{err, hint})
		}
	}
	return errors.Join(problems...)
}

// warn tells what is allowed and should be known.
func (p *parts) warn(log *slog.Logger) {
	s := p.settings
	if p.registry.develops() {
		log.Warn("DEVELOPMENT registry: one client and one resource, not for use; apply your own: issuer registry apply -f FILE",
			"client_id", clients.DevelopmentClient, "audience", clients.DevelopmentAudience, "client_key", developmentKey(s))
	} else if p.registry.resources().Len() == 0 {
		log.Warn("there is no resource yet, so nobody gets a token; apply a registry: issuer registry apply -f FILE")
	}
	if err := keyStore(s, p.store).Writable(); errors.Is(err, keys.ErrReadOnly) {
		log.Info("the key directory cannot be written, so rotation is yours; a warning comes a day ahead", "keys_dir", s.KeysDir)
	}
	if s.JWKSMaxAge < usualRefresh {
		log.Warn("verifiers that ask no oftener than every minute keep keys for longer than --jwks-max-age; tell them, "+
			"Signet's with --jwks-min-refresh", "jwks_max_age", s.JWKSMaxAge.String())
	}
	if s.InsecureDatabase && store.IsShared(s.DatabaseURL()) {
		log.Warn("INSECURE: the database is not asked to prove which one it is; whoever is in between reads and writes it")
	}
	if s.InsecureHTTP {
		log.Warn("INSECURE: serving plain HTTP; whoever can read the network reads secrets and tokens")
	}
}

// usualRefresh is how long a verifier of Signet's keeps a set whose max-age is shorter: a minute, and a tenth of jitter.
const usualRefresh = 66 * time.Second

func policyOf(s *config.Settings) keys.Policy {
	return keys.Policy{RotateEvery: s.RotateEvery, PublishAhead: s.PublishAhead, Retention: s.Retention}
}
