// Package tokens obtains access tokens from an issuer and puts them on requests. A client proves who it is with its own
// private key; it shares no secret with anyone.
//
//	source, err := tokens.New(tokens.Config{
//		Issuer:   "https://issuer.example.com",
//		ClientID: "billing",
//		Key:      key,
//		Origin:   "https://orders.example.com",
//	})
//	if err != nil { … }
//	client := &http.Client{Transport: source.Transport(nil)}
//	resp, err := client.Get("https://orders.example.com/orders")
package tokens

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"example.com/signet/keys"
	"example.com/signet/keys/remote"
)

// Why there is no token. Every error of [Source.Token] wraps one of these, or is the caller's context's, or the key's
// when it cannot sign.
var (
	ErrUnreachable = errors.New("issuer unreachable")        // no answer, or a 5xx: trying later may help
	ErrRefused     = errors.New("issuer refused")            // the answer is an OAuth error: see [RefusedError]
	ErrAnswer      = errors.New("unusable answer of issuer") // an answer that is no token and no OAuth error
)

// Header is which header carries the token.
type Header int

const (
	TokenHeader         Header = iota // Token: …
	AuthorizationHeader               // Authorization: Bearer …
)

// Config is how to obtain tokens, and where to send them. Issuer, ClientID and Key are required.
type Config struct {
	Issuer   string           // issuer identifier; the audience of the client assertion
	ClientID string           // as it is registered with the issuer
	Key      *keys.PrivateKey // signs the client assertion; its public half is registered with the issuer

	Resource string   // which resource the token is for (RFC 8707); empty: the client's default
	Scope    []string // what to ask for; empty: the client's default
	Origin   string   // scheme://host that [Source.Transport] sends tokens to; empty: that of Resource, if it has one
	Header   Header   // zero: Token

	HTTPClient *http.Client     // asks the issuer; nil: http.DefaultClient. Redirects are not followed
	Now        func() time.Time // nil: time.Now
}

func (cfg Config) check() error {
	switch {
	case cfg.Issuer == "":
		return errors.New("tokens: no issuer")
	case cfg.ClientID == "":
		return errors.New("tokens: no client id")
	case cfg.Key == nil:
		return errors.New("tokens: no key")
	}
	if err := remote.CheckURL(cfg.Issuer); err != nil {
		return fmt.Errorf("tokens: issuer: %w", err)
	}
	for _, value := range cfg.Scope {
		if value == "" || strings.ContainsFunc(value, isNotScope) {
			return fmt.Errorf("tokens: %.200q is no scope value", value)
		}
	}
	return nil
}

// isNotScope reports whether r cannot stand in a scope value (RFC 6749 §3.3).
func isNotScope(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }

// Token is an access token. Printing it does not show it.
type Token struct {
	value   *string   // behind a pointer, because fmt prints the unexported fields of others' structs as they are
	Expires time.Time // when the issuer says it ends; zero: it did not say
	Scope   string    // what was granted; empty: what was asked for
}

// AccessToken returns the token itself, for the header of a request. To a client it is opaque.
func (t Token) AccessToken() string {
	if t.value == nil {
		return ""
	}
	return *t.value
}

// String says when the token ends, and nothing of the token.
func (t Token) String() string {
	switch {
	case t.value == nil:
		return "no access token"
	case t.Expires.IsZero():
		return "access token, end unknown"
	}
	return "access token until " + t.Expires.Format(time.RFC3339)
}

// Format writes String for every verb, %#v and %d too.
func (t Token) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, t.String()) }

// Source obtains tokens and keeps the latest until four fifths of its life are over. It is safe for concurrent use. Make
// it with [New].
type Source struct {
	cfg     Config
	origin  string
	issuer  endpoint
	flights singleflight.Group
	current atomic.Pointer[cached]
}

// cached is a token and the time until which it is handed out without asking again.
type cached struct {
	token      Token
	freshUntil time.Time
}

// flightTimeout bounds one exchange, metadata and token together. It is nobody's own: the callers wait as long as their
// contexts let them.
const flightTimeout = 15 * time.Second

// New returns a source. It asks the issuer nothing yet. The error says what is wrong with cfg.
func New(cfg Config) (*Source, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Scope = slices.Clone(cfg.Scope)
	origin, err := originOf(cfg)
	if err != nil {
		return nil, err
	}
	s := &Source{cfg: cfg, origin: origin}
	s.issuer = endpoint{issuer: cfg.Issuer, client: noRedirects(cfg.HTTPClient)}
	return s, nil
}

// Format names the client and the issuer for every verb: printing a source shows no key and no token.
func (s *Source) Format(w fmt.State, _ rune) {
	_, _ = fmt.Fprintf(w, "tokens of %s for client %q", s.cfg.Issuer, s.cfg.ClientID)
}

// Token returns a token that is valid for at least a fifth of its life. While it lasts, the same one is returned; when
// it has to be obtained, all callers wait for one exchange, each for as long as its own ctx lets it. When that fails for
// another reason than the issuer's refusal, a token that is still valid is returned all the same.
func (s *Source) Token(ctx context.Context) (Token, error) {
	kept := s.current.Load()
	if kept != nil && s.cfg.Now().Before(kept.freshUntil) {
		return kept.token, nil
	}
	flight := s.flights.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.Background(), flightTimeout)
		defer cancel()
		if latest := s.current.Load(); latest != kept { // another flight landed before this one took off
			return latest.token, nil
		}
		return s.obtain(ctx)
	})
	select {
	case <-ctx.Done():
		return Token{}, ctx.Err()
	case result := <-flight:
		stillGood := kept != nil && s.cfg.Now().Before(kept.token.Expires)
		switch {
		case result.Err == nil:
			return result.Val.(Token), nil
		case stillGood && !errors.Is(result.Err, ErrRefused): // a refusal is the issuer's word; the rest is trouble
			return kept.token, nil
		}
		return Token{}, result.Err
	}
}

// obtain exchanges a fresh assertion for a token and keeps it when the issuer said how long it lasts.
func (s *Source) obtain(ctx context.Context) (Token, error) {
	asked := s.cfg.Now().Round(0) // wall clock: the monotonic one stands still while the machine sleeps
	assertion, err := s.assertion(asked)
	if err != nil {
		return Token{}, err
	}
	answer, err := s.issuer.exchange(ctx, s.form(assertion))
	if err != nil {
		return Token{}, fmt.Errorf("obtaining a token from %s: %w", s.cfg.Issuer, err)
	}
	token := Token{value: &answer.AccessToken, Scope: answer.Scope}
	if answer.ExpiresIn > 0 {
		life := time.Duration(answer.ExpiresIn) * time.Second
		token.Expires = asked.Add(life)
		s.current.Store(&cached{token, asked.Add(life * 4 / 5)})
	}
	return token, nil
}
