// Package tokens obtains access tokens from an issuer, keeps them fresh and puts them on requests. It is what a service
// needs instead of golang.org/x/oauth2/clientcredentials.
//
//	source, err := tokens.New(tokens.Config{
//		Issuer:     "https://issuer.example.com",
//		ClientID:   "billing",
//		Credential: tokens.PrivateKey(key),
//		Origin:     "https://orders.example.com",
//	})
//	if err != nil { … }
//	defer source.Close()
//	client := &http.Client{Transport: source.Transport(nil)}
//	resp, err := client.Get("https://orders.example.com/orders")
//
// A token is refreshed in the background before it expires, and serves until it does when the issuer is away. However
// many callers want one, the issuer gets one request at a time, and after a failure none for a while.
package tokens

import (
	"context"
	"errors"
	"fmt"
)

// Why there is no token. Every error of [Source.Token] wraps one of these or is the caller's context's.
var (
	ErrUnreachable = errors.New("issuer unreachable")        // no answer, a 5xx, or too many requests: later may help
	ErrRefused     = errors.New("issuer refused")            // the answer is an OAuth error: see [RefusedError]
	ErrAnswer      = errors.New("unusable answer of issuer") // an answer that is no token and no OAuth error
	ErrCredential  = errors.New("credential cannot be used") // a key that does not sign, a file that cannot be read
	ErrClosed      = errors.New("token source is closed")
)

// Why [Source.Transport] sends a request to nobody.
var (
	ErrNoOrigin = errors.New("tokens: no origin may get a token: neither Origin nor Resource is https, or on loopback")
	ErrHasToken = errors.New("tokens: the request has a Token or Authorization header already")
)

// Source hands out access tokens for one resource with one set of scope values. It is safe for concurrent use. Make it
// with [New], and with [Source.For] for other resources of the same client.
type Source struct {
	client *client
	slot   *slot
	origin origin // where its tokens may be sent
}

// New returns a source. It asks the issuer nothing yet. Sources of two calls share nothing: a program makes one for each
// issuer and client, and with [Source.For] others of it. The error says what is wrong with cfg.
func New(cfg Config) (*Source, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	c := newClient(cfg.withDefaults())
	source, err := c.source(Target{Resource: cfg.Resource, Scope: cfg.Scope, Origin: cfg.Origin})
	if err != nil {
		return nil, err
	}
	if cfg.Initial.value != nil {
		source.slot.keep(cfg.Initial)
	}
	return source, nil
}

// For returns a source of tokens for another target, by the same client. Nothing is taken over from Resource, Scope and
// Origin of [Config]. Sources for the same resource and scope share their token. Each stays in memory until
// [Source.Close], so targets are to come from a program and not from its input. The error says what is wrong with
// target.
func (s *Source) For(target Target) (*Source, error) { return s.client.source(target) }

// Token returns a token that has not expired. While one is good it is returned at once, and refreshed in the background
// when four fifths of its life are over. Otherwise one exchange with the issuer is made for all callers; each waits for
// it as long as its own ctx lets it, and no longer than 20 s and what hooks take. After a failure the same error is
// returned for some time, between 100 ms and 10 s or as long as the issuer asked for (an hour at most), before the issuer
// is asked again.
func (s *Source) Token(ctx context.Context) (Token, error) {
	held, err := s.held(ctx)
	if err != nil {
		return Token{}, err
	}
	return held.token, nil
}

func (s *Source) held(ctx context.Context) (*held, error) {
	kept := s.slot.current.Load()
	if kept == nil {
		return s.slot.wait(ctx)
	}
	now := s.client.cfg.Now()
	switch {
	case !passed(now, kept.refreshAt):
		kept.use()
		return kept, nil
	case !passed(now, kept.expires):
		s.slot.refresh()
		return kept, nil
	}
	return s.slot.wait(ctx)
}

// Invalidate drops the token if it is the one that is handed out, for callers to whom a resource server said that it is
// no longer valid. [Source.Transport] does so by itself.
func (s *Source) Invalidate(token Token) { s.slot.drop(token) }

// Close ends this source and all that [Source.For] has made of it or it was made of: what is under way is given up,
// callers who wait and those who come later get [ErrClosed]. When it returns no goroutine of theirs runs, but for one in
// a credential that does not return.
func (s *Source) Close() { s.client.close() }

// Format names the client and the issuer for every verb: printing a source shows no key and no token.
func (s *Source) Format(w fmt.State, _ rune) {
	cfg := s.client.cfg
	_, _ = fmt.Fprintf(w, "tokens of %s for client %q", cfg.Issuer, cfg.ClientID)
}
