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
	"io"

	"example.com/signet/keys"
)

// Why a token is refused. Every error of [Verifier.Verify] wraps exactly one of these; its text names the rule and
// holds no byte of the token. All but ErrUnavailable are about the token and will not go away.
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

// Verifier verifies access tokens. It is safe for concurrent use. Make it with [New]; Close it when done.
type Verifier struct {
	cfg     *Config
	sources map[string]*source // by issuer
	only    *source            // the source when there is one issuer, nil otherwise
	cache   cache
}

// New returns a verifier and begins to fetch the keys of its issuers. It does not wait for them: an issuer may come up
// later. The error says what is wrong with cfg; nothing has been started then.
func New(cfg Config) (*Verifier, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	v := &Verifier{cfg: &cfg, sources: make(map[string]*source), cache: cache{limit: cfg.CacheSize}}
	for _, issuer := range cfg.Issuers {
		source, err := newSource(issuer, v.cfg)
		if err != nil {
			return nil, err
		}
		v.sources[issuer.ID], v.only = source, source
	}
	if len(v.sources) > 1 {
		v.only = nil
	}
	for _, source := range v.sources {
		source.changed = v.cache.empty
		source.start()
	}
	return v, nil
}

// Close stops fetching and waits until it has stopped: no goroutine of the verifier is left. Verify goes on with the
// keys that are there. Closing twice is harmless.
func (v *Verifier) Close() {
	for _, source := range v.sources {
		source.stop()
	}
	for _, source := range v.sources {
		<-source.stopped
	}
}

// Format prints the type's name, whatever the verb: there are live tokens inside.
func (*Verifier) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "verify.Verifier") }

// Ready returns nil when there is at least one usable key, and an [ErrUnavailable] otherwise.
func (v *Verifier) Ready() (err error) {
	for _, source := range v.sources {
		if err = source.current().usable(v.cfg.Now()); err == nil {
			return nil
		}
	}
	return err
}

// Verify returns the claims of an access token that an accepted issuer signed for this audience and that is valid now.
// The rules are applied in this order, the cheap ones first: size and spelling, algorithm and kid (RFC 7515,
// [keys.Parse]); typ (RFC 9068 §4); where there are several issuers iss; the key; the signature; claims in strict JSON;
// iss; aud; exp, nbf and iat, with the leeway; sub, client_id and jti; cnf. It touches the network only when kid is not
// known, and then waits for ctx and for [Fetch].Wait at most.
func (v *Verifier) Verify(ctx context.Context, token string) (Claims, error) {
	known := v.cache.lookUp(token)
	cached := known != nil && known.set == known.source.current().set
	var claims *claims
	var err error
	if cached {
		claims, err = v.recheck(known)
	} else {
		claims, err = v.verify(ctx, token)
	}
	if v.cfg.OnVerify != nil {
		v.cfg.OnVerify(ctx, Outcome{Err: err, Cached: cached})
	}
	if err != nil {
		return Claims{}, err
	}
	return Claims{claims}, nil
}

// recheck applies the rules that a token which was accepted can break since then.
func (v *Verifier) recheck(known *verified) (*claims, error) {
	now := v.cfg.Now()
	if err := known.claims.checkTimes(v.cfg.Leeway, now); err != nil {
		v.cache.forget(known)
		return nil, err
	}
	if err := known.source.current().usable(now); err != nil {
		return nil, err
	}
	return &known.claims, nil
}

// verify applies every rule, and remembers the token that keeps them all.
func (v *Verifier) verify(ctx context.Context, token string) (*claims, error) {
	parsed, err := v.parse(token)
	if err != nil {
		return nil, err
	}
	if !keys.TypeAccessToken.Is(parsed.Header().Type) {
		return nil, errType
	}
	source, err := v.sourceOf(parsed)
	if err != nil {
		return nil, err
	}
	snapshot := source.current()
	if snapshot.set.Key(parsed.Header().KeyID) == nil {
		if snapshot, err = v.learn(ctx, source, parsed); err != nil {
			return nil, err
		}
	}
	genuine, err := snapshot.set.VerifyParsed(parsed)
	if err != nil {
		return nil, err
	}
	good := &verified{source: source, set: snapshot.set}
	good.token, good.claims.payload = v.cache.texts(token, genuine.Payload)
	claims := &good.claims
	if err := claims.read(); err != nil {
		return nil, err
	}
	now := v.cfg.Now() // only now: waiting for the key may have taken a while
	if err := claims.check(source.issuer, v.cfg, now); err != nil {
		return nil, err
	}
	// Last, so that a bad token is refused as such even when the keys are too old to accept a good one.
	if err := snapshot.usable(now); err != nil {
		return nil, err
	}
	v.cache.remember(good)
	return claims, nil
}

func (v *Verifier) parse(token string) (keys.Unverified, error) {
	if v.only != nil {
		return v.only.current().set.Parse(token)
	}
	return keys.Parse(token)
}

// sourceOf returns the source of the issuer whom the token names. Nothing is granted on that: a key of that issuer has
// to verify the token, and its claims are read strictly then.
func (v *Verifier) sourceOf(token keys.Unverified) (*source, error) {
	if v.only != nil {
		return v.only, nil
	}
	if source := v.sources[issuerOf(token.InsecurePayload())]; source != nil {
		return source, nil
	}
	return nil, errIssuer
}

// learn returns keys among which is the one that the token names. A token that would be refused anyway, whatever its
// key, costs no fetch: its claims are read for that, and nothing is granted on them. When there will be no fetch, no more
// is read than the issuer, for the reason, and that only where it is easy.
func (v *Verifier) learn(ctx context.Context, source *source, token keys.Unverified) (*snapshot, error) {
	now, payload := v.cfg.Now(), token.InsecurePayload()
	if source.isCoolingDown() && source.current().usable(now) == nil {
		if issuer, isPlain := plainIssuer(payload); isPlain && issuer != source.issuer {
			return nil, errIssuer
		}
		return nil, errUnknown
	}
	claims, err := readClaims(payload)
	switch {
	case err != nil:
		return nil, errUnknown
	case string(claims.Issuer) != source.issuer:
		return nil, errIssuer
	case claims.check(source.issuer, v.cfg, now) != nil:
		return nil, errUnknown
	}
	return source.await(ctx, token.Header().KeyID)
}
