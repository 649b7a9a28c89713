package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/keeper"
	"example.com/signet/issuer/internal/server"
	"example.com/signet/keys"
)

// logs are where the issuer talks and where it keeps its audit trail.
type logs struct{ log, audit *slog.Logger }

var noLogs = logs{slog.New(slog.DiscardHandler), slog.New(slog.DiscardHandler)}

// parts are what the issuer reads before it serves, checked against one another.
type parts struct {
	settings    *config.Settings
	keeper      *keeper.Keeper
	registry    *clients.Live
	certificate *server.Certificate // nil: plain HTTP
}

// assemble checks the settings, reads keys, registry and certificate, and proves that they fit together. The error joins
// everything that does not.
func assemble(s *config.Settings, to logs) (*parts, error) {
	p := &parts{settings: s}
	wrong := wrongUse(s.Check())
	problems := []error{wrong, p.openKeys(to), p.openCertificate(to.log)}
	problems = append(problems, p.openRegistry(to.log, wrong == nil))
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	p.warn(to.log)
	return p, nil
}

func (p *parts) openKeys(to logs) error {
	dir := keys.Directory(p.settings.KeysDir)
	k, err := keeper.Open(keeper.Config{Dir: dir, Policy: policyOf(p.settings), Log: to.log, Audit: to.audit})
	if errors.Is(err, keys.ErrNoKeys) {
		return &usageError{err, "make keys: scripts/genkeys.sh, or issuer keys generate (or name their directory with --keys-dir)"}
	}
	p.keeper = k
	return wrongUse(err)
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

// openRegistry reads the registry, or makes the one for development when there is none. Whether it fits keys and settings
// is asked only when there are keys, and settings that make sense.
func (p *parts) openRegistry(log *slog.Logger, settingsMakeSense bool) error {
	fits := p.fits
	if p.keeper == nil || !settingsMakeSense {
		fits = func(*clients.Registry) error { return nil }
	}
	if p.settings.Registry == "" {
		return p.openDevelopment(fits)
	}
	registry, err := clients.Open(clients.LiveConfig{Path: p.settings.Registry, Check: fits, Log: log})
	p.registry = registry
	return wrongRegistry(err)
}

// wrongRegistry names the setting where the registry's own error names only a file.
func wrongRegistry(err error) error {
	if wrong := (*clients.FileError)(nil); errors.Is(err, fs.ErrNotExist) && !errors.As(err, &wrong) {
		err = fmt.Errorf("--registry: %w", err)
	}
	return wrongUse(err)
}

// openDevelopment makes the registry for development. Without signing keys its client's key is missing too, and one hint
// mends both.
func (p *parts) openDevelopment(fits func(*clients.Registry) error) error {
	if p.keeper == nil {
		return nil
	}
	registry, err := developmentRegistry(p.settings)
	if err != nil {
		return err
	}
	p.registry = clients.Fixed(registry)
	return fits(registry)
}

// fits reports whether the issuer can serve a registry: no valid token can fail by a rotation, and each algorithm that a
// resource wants has a key that signs.
func (p *parts) fits(registry *clients.Registry) error {
	s := p.settings
	err := policyOf(s).Check(s.JWKSMaxAge, registry.LongestLifetime(), s.Leeway)
	if err != nil {
		err = &usageError{err, policyHint}
	}
	return errors.Join(err, p.checkSigners(registry))
}

func (p *parts) checkSigners(registry *clients.Registry) error {
	var problems []error
	for _, alg := range registry.Algorithms() {
		if _, err := p.keeper.Active(alg, time.Now()); err != nil {
			hint := "if the clock is right, make one: issuer keys generate --alg " + string(alg)
			problems = append(problems, &usageError{err, hint})
		}
	}
	return errors.Join(problems...)
}

// warn tells what is allowed and should be known.
func (p *parts) warn(log *slog.Logger) {
	s := p.settings
	if s.Registry == "" {
		log.Warn("DEVELOPMENT registry: one client and one resource, not for use; --registry names your own",
			"client_id", clients.DevelopmentClient, "audience", clients.DevelopmentAudience, "client_key", developmentKey(s))
	}
	if err := keys.Directory(s.KeysDir).Writable(); errors.Is(err, keys.ErrReadOnly) {
		log.Info("the key directory cannot be written, so rotation is yours; a warning comes a day ahead", "keys_dir", s.KeysDir)
	}
	if s.JWKSMaxAge < usualRefresh {
		log.Warn("verifiers that ask no oftener than every minute keep keys for longer than --jwks-max-age; tell them, "+
			"Signet's with --jwks-min-refresh", "jwks_max_age", s.JWKSMaxAge.String())
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

func developmentKey(s *config.Settings) string {
	return filepath.Join(filepath.Dir(s.KeysDir), "client", clients.DevelopmentClient+".pub.pem")
}

func developmentRegistry(s *config.Settings) (*clients.Registry, error) {
	key, err := keys.ReadPublicKey(developmentKey(s))
	if err != nil {
		return nil, &usageError{
			fmt.Errorf("reading the development client's key: %w", err),
			"make it: scripts/genkeys.sh (or name your clients in a file with --registry)"}
	}
	return clients.Development(key)
}
