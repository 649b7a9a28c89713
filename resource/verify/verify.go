// Package verify checks access tokens (RFC 9068) with nothing but their issuer's public keys, which it fetches, keeps
// and refreshes by itself, off the request path.
//
//	verifier, err := verify.New(verify.Config{
//		Issuer:   "https://issuer.example.com",
//		Audience: "https://orders.example.com",
//	})
//	if err != nil { … }
//	defer verifier.Close()
//	claims, err := verifier.Verify(ctx, token)
//
// Package bearer puts it in front of an http.Handler.
package verify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"example.com/signet/keys"
	"example.com/signet/keys/remote"
)

// Why a token is refused. Every error of [Verifier.Verify] wraps exactly one of these; its text names the rule and holds
// no byte of the token. All but ErrUnavailable are about the token and will not go away.
var (
	ErrMalformed    = keys.ErrMalformed                   // not a compact token in strict spelling
	ErrAlgorithm    = keys.ErrAlgorithm                   // another algorithm than ES256 and RS256, or than the key's
	ErrType         = errors.New("not an access token")   // typ is not at+jwt
	ErrClaims       = errors.New("malformed claims")      // not strict JSON, a type is wrong, a claim is missing
	ErrIssuer       = errors.New("another issuer")        // iss is not the configured one
	ErrUnknownKey   = keys.ErrUnknownKey                  // the issuer does not publish the key
	ErrSignature    = keys.ErrSignature                   // not signed by that key
	ErrAudience     = errors.New("another audience")      // aud does not contain us
	ErrExpired      = errors.New("expired")               // exp is past
	ErrNotYetValid  = errors.New("not yet valid")         // nbf or iat is in the future
	ErrConfirmation = errors.New("bound to a sender key") // has a cnf, which nobody here can check
	ErrUnavailable  = errors.New("no usable keys")        // none fetched yet, or none for too long
)

// Config is how to verify. Issuer and Audience are required; the zero value of every other field is its default.
type Config struct {
	Issuer   string // the only accepted iss, compared as a string
	Audience string // what aud must contain: this resource server

	JWKSURL string        // where the keys are; empty: where the issuer's metadata say (RFC 8414)
	Leeway  time.Duration // how far clocks may be apart; zero: 30 s; at most 5 min; negative: none

	MaxStale   time.Duration // how long keys stay good while the issuer is away; zero: 24 h; at least twice MinRefresh
	MinRefresh time.Duration // keys are fetched no oftener than this, whatever their max-age; zero: 1 min
	Cooldown   time.Duration // at most one fetch for unknown kids in this time; zero: 30 s. Up to 2 s, callers wait for it
	HTTPClient *http.Client  // fetches; nil: http.DefaultClient. Its redirect policy is replaced
	Log        *slog.Logger  // told about fetches that fail and keys that are skipped; nil: silence
	Now        func() time.Time
}

// Defaults and bounds of [Config].
const (
	defaultLeeway   = 30 * time.Second
	maxLeeway       = 5 * time.Minute
	defaultMaxStale = 24 * time.Hour
	defaultRefresh  = time.Minute
	defaultCooldown = 30 * time.Second
)

func (cfg Config) withDefaults() Config {
	if cfg.Leeway == 0 {
		cfg.Leeway = defaultLeeway
	}
	cfg.Leeway = max(cfg.Leeway, 0)
	if cfg.MaxStale == 0 {
		cfg.MaxStale = defaultMaxStale
	}
	if cfg.MinRefresh == 0 {
		cfg.MinRefresh = defaultRefresh
	}
	if cfg.Cooldown == 0 {
		cfg.Cooldown = defaultCooldown
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg
}

func (cfg Config) check() error {
	switch {
	case cfg.Issuer == "":
		return errors.New("verify: no issuer")
	case cfg.Audience == "":
		return errors.New("verify: no audience")
	case cfg.Leeway > maxLeeway:
		return fmt.Errorf("verify: leeway %v is above %v", cfg.Leeway, maxLeeway)
	case cfg.MaxStale < 0 || cfg.Cooldown < 0 || cfg.MinRefresh < 0:
		return errors.New("verify: a negative duration")
	case cfg.MaxStale < 2*cfg.MinRefresh: // or keys would grow stale between two fetches that succeed
		return fmt.Errorf("verify: max stale %v is below %v", cfg.MaxStale, 2*cfg.MinRefresh)
	}
	if err := remote.CheckIssuer(cfg.Issuer); err != nil {
		return fmt.Errorf("verify: issuer: %w", err)
	}
	if cfg.JWKSURL == "" {
		return nil
	}
	if err := remote.CheckURL(cfg.JWKSURL); err != nil {
		return fmt.Errorf("verify: JWK Set: %w", err)
	}
	return nil
}

// Verifier verifies access tokens. It is safe for concurrent use. Make it with [New]; Close it when done.
type Verifier struct {
	cfg    Config
	source *source
}

// New returns a verifier and begins to fetch the keys of its issuer. It does not wait for them: the issuer may come up
// later. The error says what is wrong with cfg.
func New(cfg Config) (*Verifier, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return &Verifier{cfg: cfg, source: startSource(cfg)}, nil
}

// Close stops fetching and waits until it has stopped. Verify goes on with the keys that are there. Closing twice is
// harmless.
func (v *Verifier) Close() { v.source.close() }

// Ready returns nil when there is at least one usable key, and an [ErrUnavailable] otherwise.
func (v *Verifier) Ready() error { return v.source.current().usable(v.cfg.Now()) }

// Verify returns the claims of an access token that the issuer signed for this audience and that is valid now. The
// rules are applied in this order, the cheap ones first: size and spelling, algorithm and kid (RFC 7515, [keys.Parse]);
// typ (RFC 9068 §4); the key; the signature; claims in strict JSON; iss; aud; exp, nbf and iat, with the leeway; sub,
// client_id and jti; cnf. It touches the network only when kid is not known, and then waits for ctx and for 2 s at most.
func (v *Verifier) Verify(ctx context.Context, token string) (Claims, error) {
	snapshot := v.source.current()
	parsed, err := snapshot.set.Parse(token)
	if err != nil {
		return Claims{}, err
	}
	if !keys.TypeAccessToken.Is(parsed.Header().Type) {
		return Claims{}, errType
	}
	if snapshot.set.Key(parsed.Header().KeyID) == nil {
		if snapshot, err = v.learn(ctx, parsed); err != nil {
			return Claims{}, err
		}
	}
	verified, err := snapshot.set.VerifyParsed(parsed)
	if err != nil {
		return Claims{}, err
	}
	claims, err := readClaims(verified.Payload)
	if err != nil {
		return Claims{}, err
	}
	now := v.cfg.Now() // only now: waiting for the key may have taken a while
	if err := claims.check(v.cfg, now); err != nil {
		return Claims{}, err
	}
	// Last, so that a bad token is refused as such even when the keys are too old to accept a good one.
	if err := snapshot.usable(now); err != nil {
		return Claims{}, err
	}
	return claims.export(), nil
}

// learn returns keys among which is the one that the token names. A token that would be refused anyway, whatever its
// key, costs no fetch: its claims are read for that, and nothing is granted on them.
func (v *Verifier) learn(ctx context.Context, token keys.Unverified) (*snapshot, error) {
	claims, err := readClaims(token.InsecurePayload())
	if err != nil {
		return nil, err
	}
	if claims.Issuer != v.cfg.Issuer {
		return nil, errIssuer
	}
	return v.source.await(ctx, token.Header().KeyID)
}
