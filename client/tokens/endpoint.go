package tokens

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"example.com/signet/keys/remote"
)

const maxAnswer = 64 << 10

// form is the token request (RFC 6749 §4.4.2), without the proof of who asks.
func (s *slot) form() url.Values {
	form := url.Values{"grant_type": {"client_credentials"}}
	if s.resource != "" {
		form.Set("resource", s.resource)
	}
	if s.scope != "" {
		form.Set("scope", s.scope)
	}
	return form
}

// endpoint is the issuer's token endpoint: the configured one, or that of the metadata, kept for as long as it answers
// as one.
type endpoint struct {
	issuer     string
	configured string
	client     *http.Client
	found      atomic.Pointer[remote.Metadata]
}

// exchange asks for a token. No error has anything in it of what was sent to prove who asks.
func (e *endpoint) exchange(ctx context.Context, cfg *Config, form url.Values, now time.Time) (granted, error) {
	place, err := e.find(ctx)
	if err != nil {
		return granted{}, err
	}
	p := &proof{cfg: cfg, now: now, methods: place.AuthMethods, form: form, header: make(http.Header)}
	if err := cfg.Credential.prove(p); err != nil {
		return granted{}, err
	}
	answer, err := e.post(ctx, place.TokenEndpoint, p)
	var busy *busyError
	if err != nil && !errors.Is(err, ErrRefused) && !errors.As(err, &busy) {
		e.found.Store(nil) // it may have moved
	}
	return answer, scrub(err, p.secrets...)
}

// find returns the token endpoint.
func (e *endpoint) find(ctx context.Context) (remote.Metadata, error) {
	if e.configured != "" {
		return remote.Metadata{TokenEndpoint: e.configured}, nil
	}
	if known := e.found.Load(); known != nil {
		return *known, nil
	}
	metadata, err := remote.Fetcher{Client: e.client}.Metadata(ctx, e.issuer)
	switch {
	case errors.Is(err, remote.ErrFetch):
		return metadata, fmt.Errorf("%w: %w", ErrUnreachable, err)
	case err != nil:
		return metadata, fmt.Errorf("%w: %w", ErrAnswer, err)
	case metadata.TokenEndpoint == "":
		return metadata, fmt.Errorf("%w: the metadata have no token_endpoint", ErrAnswer)
	}
	e.found.Store(&metadata)
	return metadata, nil
}

func (e *endpoint) post(ctx context.Context, address string, p *proof) (granted, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(p.form.Encode()))
	if err != nil {
		return granted{}, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	req.Header = p.header
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := e.client.Do(req)
	if err != nil {
		return granted{}, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer resp.Body.Close()
	body, err := remote.ReadAll(resp.Body, maxAnswer)
	if isBusy(resp.StatusCode) { // whatever its body is
		return granted{}, &busyError{resp.StatusCode, remote.RetryAfter(resp.Header)}
	}
	if err != nil {
		return granted{}, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if resp.StatusCode != http.StatusOK {
		return granted{}, readRefusal(resp, body, p.cfg.Now())
	}
	return readGranted(body)
}

// noRedirects returns a copy of client that hands a redirect back as the answer: a proof of who we are is for the
// endpoint that the metadata name, and for nobody else.
func noRedirects(client *http.Client) *http.Client {
	strict := *client
	strict.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &strict
}
