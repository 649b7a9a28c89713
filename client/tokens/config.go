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
	// SecretInForm sends a secret in the form (client_secret_post) whatever the metadata say; without it by HTTP Basic,
	// unless the metadata list the form alone.
	SecretInForm bool

	Resource string   // which resource the token is for (RFC 8707); empty: the client's default
	Scope    []string // what to ask for; empty: the client's default
	Origin   string   // scheme://host that [Source.Transport] sends tokens to; empty: that of Resource, if it has one
	Header   Header   // zero: Token

	// Params are further parameters of the token request, such as audience for an issuer that does not know resource.
	Params map[string]string

	// Initial is a token of before, such as one from a file, that is handed out as if it had just been obtained.
	Initial Token

	// HTTPClient asks the issuer; nil is one of the source's own, which Close ends. A redirect of the token endpoint is not
	// followed, one of the metadata only to the same origin.
	HTTPClient *http.Client
	Log        *slog.Logger     // told when the issuer fails and when it is back; nil is silence
	Now        func() time.Time // the clock; nil is [time.Now]. Waiting and timers are the machine's own
	Random     func() float64   // from 0 to below 1, spreads refreshes and retries; nil is [rand.Float64]

	// OnExchange, when not nil, is called after each attempt to obtain a token, before anybody gets it; for one target
	// never twice at once. Like Log, Now, Random, Credential and HTTPClient it is called from goroutines of the source, for
	// several targets at once: all of them must be safe for that, must not panic and must not call the source. It and Log
	// must be quick, for nobody gets the token before they return.
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
	for name := range cfg.Params {
		if _, isOurs := ownParams[name]; isOurs {
			return fmt.Errorf("tokens: parameter %.200q is not for Params", name)
		}
	}
	return nil
}

// ownParams are the parameters that other fields set.
var ownParams = map[string]struct{}{
	"": {}, "grant_type": {}, "resource": {}, "scope": {}, "client_id": {}, "client_secret": {}, "client_assertion": {},
	"client_assertion_type": {},
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
