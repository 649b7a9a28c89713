package tokens

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"example.com/signet/keys/remote"
)

// Config is how to obtain tokens, and where to send them. Issuer and Credential are required, and ClientID unless the
// credential is an [AssertionFile]; the zero value of every other field is its default.
type Config struct {
	// Issuer is the issuer identifier (RFC 8414 §2): https, or http on loopback. It is the audience of client
	// assertions, and its metadata say where the token endpoint is.
	Issuer string
	// TokenEndpoint is where to ask for tokens, https or http on loopback, instead of asking the metadata.
	TokenEndpoint string
	ClientID      string     // as it is registered with the issuer
	Credential    Credential // proves it: [PrivateKey], [Secret], [SecretFile] or [AssertionFile]

	Resource string   // which resource the token is for (RFC 8707); empty: the client's default
	Scope    []string // what to ask for; empty: the client's default
	Origin   string   // scheme://host that [Source.Transport] sends tokens to; empty: that of Resource, if it has one
	Header   Header   // zero: Token

	// Initial is a token of before, such as one from a file, that is handed out as if it had just been obtained.
	Initial Token

	HTTPClient *http.Client     // asks the issuer; nil: one of the source's own. Redirects are not followed
	Log        *slog.Logger     // told when the issuer fails and when it is back; nil is silence
	Now        func() time.Time // the clock; nil is [time.Now]. Waiting and timers are the machine's own
	Random     func() float64   // from 0 to below 1, spreads refreshes and retries; nil is [rand.Float64]

	// OnExchange, when not nil, is called after each attempt to obtain a token, before anybody gets it; for one target
	// never twice at once. It must be quick, and must not call the source.
	OnExchange func(Exchange)
}

// Target is what a token is for. The fields are those of [Config].
type Target struct {
	Resource string
	Scope    []string
	Origin   string
}

// Exchange is what became of one attempt to obtain a token.
type Exchange struct {
	Resource string
	Scope    string // as it was asked for, with spaces between
	Token    Token  // the zero Token with an error
	Err      error
	Attempt  int           // 1 for the first since a success
	Took     time.Duration // of the machine's clock
	Retry    time.Duration // after an error: for how long the issuer is not asked again
}

func (cfg Config) withDefaults() Config {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = rand.Float64
	}
	return cfg
}

func (cfg Config) check() error {
	switch {
	case cfg.Issuer == "":
		return errors.New("tokens: no issuer")
	case cfg.Credential == nil:
		return errors.New("tokens: no credential")
	}
	if err := remote.CheckIssuer(cfg.Issuer); err != nil {
		return fmt.Errorf("tokens: issuer: %w", err)
	}
	if cfg.TokenEndpoint != "" {
		if err := remote.CheckURL(cfg.TokenEndpoint); err != nil {
			return fmt.Errorf("tokens: token endpoint: %w", err)
		}
	}
	if err := cfg.Credential.check(cfg.ClientID); err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	if strings.ContainsFunc(cfg.ClientID, func(r rune) bool { return r < ' ' || r > '~' }) { // RFC 6749 §A.1
		return fmt.Errorf("tokens: %.200q is no client id", cfg.ClientID)
	}
	return nil
}

// check reports what is wrong with the scope, and returns the origin that tokens may be sent to.
func (t Target) check() (origin, error) {
	for _, value := range t.Scope {
		if value == "" || strings.ContainsFunc(value, isNotScope) {
			return origin{}, fmt.Errorf("tokens: %.200q is no scope value", value)
		}
	}
	return t.origin()
}

// isNotScope reports whether r cannot stand in a scope value (RFC 6749 §3.3).
func isNotScope(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }
