package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"example.com/signet/keys"
	"example.com/signet/keys/remote"
)

// Config is how to verify. Audience is required, and either Issuer or Issuers; the zero value of every other field is
// its default.
type Config struct {
	// Issuer is the only accepted iss, compared as a string. Its keys are where its metadata say. It is short for one
	// member of Issuers with nothing but an ID.
	Issuer string
	// Issuers are the accepted issuers, each with its own keys: a token is never verified with another issuer's key.
	Issuers []Issuer
	// Audience is what aud must contain: the identifier of this resource server, compared as a string.
	Audience string
	// Leeway is how far clocks may be apart, for exp, nbf and iat. Zero is 30 s; negative is none; 5 min at most.
	Leeway time.Duration
	// CacheSize is how many octets of memory the cache of verified tokens may take. Zero is 16 MiB, room for some ten
	// thousand tokens; negative is no cache. A token that is in it is not verified again while the issuer's keys stay
	// as they are; its times are checked each time. When more tokens take turns than there is room for, it is of no
	// use.
	CacheSize int
	// Fetch is when and how keys are fetched.
	Fetch Fetch

	Log *slog.Logger     // told about fetches that fail and keys that are skipped; nil is silence
	Now func() time.Time // the clock; nil is [time.Now]. Waiting and timers are the machine's own

	// OnVerify, when not nil, is called at the end of each Verify, for metrics. It must be quick and safe for
	// concurrent use. [Reason] makes a label of the error.
	OnVerify func(ctx context.Context, outcome Outcome)
	// OnFetch, when not nil, is called after each fetch of an issuer's keys, for one issuer never twice at once. The
	// next fetch waits for it; it must not call Close.
	OnFetch func(Fetched)
}

// Issuer is one whose tokens are accepted, and where its keys are. At most one of the fields after ID is set; with
// none, the keys are where the issuer's metadata say (RFC 8414, or OpenID Connect Discovery).
type Issuer struct {
	ID       string    // the iss of its tokens: https, or http on loopback
	JWKSURL  string    // the JWK Set is here: https, or http on loopback
	JWKSFile string    // the JWK Set is in this file, which is read again as if it were fetched
	JWKS     *keys.Set // the keys are these, for ever
}

// Fetch is when and how an issuer's keys are fetched. The zero value of each field is its default.
type Fetch struct {
	Client  *http.Client  // sends the requests; nil is [http.DefaultClient]. Its redirect policy is replaced
	Timeout time.Duration // for one document, its body included; zero is 5 s
	MaxSize int           // octets of a JWK Set; zero is 512 KiB
	MaxKeys int           // keys in it, odd ones included; zero is 100

	// Keys are fetched again when RefreshAt of their max-age has passed, 5 min where the issuer does not say: at the
	// earliest after MinRefresh, at the latest after MaxRefresh, give or take Jitter of it, so that many verifiers do
	// not ask at once. Zero is 0.8, 1 min, 1 h and 0.1; Jitter is none where negative.
	RefreshAt  float64
	MinRefresh time.Duration
	MaxRefresh time.Duration
	Jitter     float64

	// A token with an unknown kid makes one fetch, if the last attempt is Cooldown ago; whoever has such a token waits
	// for Wait at most. Zero is 30 s and 2 s. Within a Cooldown that is not longer than Wait, callers wait for its end.
	Cooldown time.Duration
	Wait     time.Duration

	// MaxStale is how long keys stay good while the issuer is away. Zero is 24 h; at least twice MinRefresh.
	MaxStale time.Duration
}

// Defaults and bounds of [Config].
const (
	defaultLeeway    = 30 * time.Second
	maxLeeway        = 5 * time.Minute
	defaultCacheSize = 16 << 20
)

func (cfg Config) withDefaults() Config {
	if cfg.Issuer != "" {
		cfg.Issuers = append([]Issuer{{ID: cfg.Issuer}}, cfg.Issuers...)
	}
	cfg.Leeway = max(cmp.Or(cfg.Leeway, defaultLeeway), 0)
	cfg.CacheSize = max(cmp.Or(cfg.CacheSize, defaultCacheSize), 0)
	cfg.Fetch = cfg.Fetch.withDefaults()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg
}

func (f Fetch) withDefaults() Fetch {
	f.RefreshAt = cmp.Or(f.RefreshAt, 0.8)
	f.Jitter = max(cmp.Or(f.Jitter, 0.1), 0)
	f.MinRefresh = cmp.Or(f.MinRefresh, time.Minute)
	f.MaxRefresh = cmp.Or(f.MaxRefresh, time.Hour)
	f.Cooldown = cmp.Or(f.Cooldown, 30*time.Second)
	f.Wait = cmp.Or(f.Wait, 2*time.Second)
	f.MaxStale = cmp.Or(f.MaxStale, 24*time.Hour)
	return f
}

func (cfg Config) check() error {
	switch {
	case len(cfg.Issuers) == 0:
		return errors.New("verify: no issuer")
	case cfg.Audience == "":
		return errors.New("verify: no audience")
	case cfg.Leeway > maxLeeway:
		return fmt.Errorf("verify: leeway %v is above %v", cfg.Leeway, maxLeeway)
	}
	if err := cfg.Fetch.check(); err != nil {
		return err
	}
	known := make(map[string]bool)
	for _, issuer := range cfg.Issuers {
		if known[issuer.ID] {
			return fmt.Errorf("verify: issuer %q twice", issuer.ID)
		}
		known[issuer.ID] = true
		if err := issuer.check(); err != nil {
			return err
		}
	}
	return nil
}

func (f Fetch) check() error {
	switch {
	case f.Timeout < 0 || f.MinRefresh < 0 || f.MaxRefresh < 0 || f.Cooldown < 0 || f.Wait < 0 || f.MaxStale < 0:
		return errors.New("verify: a negative duration")
	case f.MaxSize < 0 || f.MaxKeys < 0:
		return errors.New("verify: a negative limit of JWK Sets")
	case !(0 < f.RefreshAt && f.RefreshAt <= 1) || !(f.Jitter < 1): // NaN is neither
		return errors.New("verify: refresh at and jitter are parts of 1")
	case f.MaxRefresh < f.MinRefresh:
		return fmt.Errorf("verify: max refresh %v is below min refresh %v", f.MaxRefresh, f.MinRefresh)
	case f.MaxStale/2 < f.MinRefresh: // or keys would grow stale between two fetches that succeed
		return fmt.Errorf("verify: max stale %v is below %v", f.MaxStale, 2*f.MinRefresh)
	}
	return nil
}

func (i Issuer) check() error {
	if err := remote.CheckIssuer(i.ID); err != nil {
		return fmt.Errorf("verify: issuer: %w", err)
	}
	places := 0
	for _, given := range []bool{i.JWKSURL != "", i.JWKSFile != "", i.JWKS != nil} {
		if given {
			places++
		}
	}
	switch {
	case places > 1:
		return fmt.Errorf("verify: issuer %q has its keys in more than one place", i.ID)
	case i.JWKS != nil && i.JWKS.Len() == 0:
		return fmt.Errorf("verify: issuer %q: %w", i.ID, keys.ErrNoKeys)
	case i.JWKSURL == "":
		return nil
	}
	if err := remote.CheckURL(i.JWKSURL); err != nil {
		return fmt.Errorf("verify: JWK Set: %w", err)
	}
	return nil
}
