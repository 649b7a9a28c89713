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
	for name, value := range s.client.cfg.Params {
		form.Set(name, value)
	}
	return form
}

// endpoint is the issuer's token endpoint: the configured one, or that of the metadata, kept for as long as it answers
// as one.
type endpoint struct {
	issuer     string
	configured string
	client     *http.Client
	found      atomic.Pointer[found]
}

// found are metadata and when they were found.
type found struct {
	remote.Metadata
	at time.Time
}

// recheckAfter is how old metadata are at least when a refusal makes them doubtful: the endpoint that they name may be
// that of an instance which nobody uses any more.
const recheckAfter = 5 * time.Minute

// exchange asks for a token. No error has anything in it of what was sent to prove who asks.
func (e *endpoint) exchange(ctx context.Context, s *slot, now time.Time) (granted, error) {
	place, err := e.find(ctx, now)
	if err != nil {
		return granted{}, err
	}
	p := &proof{cfg: &s.client.cfg, now: now, methods: place.AuthMethods, form: s.form(), header: make(http.Header)}
	if err := s.prove(ctx, p); err != nil {
		return granted{}, err
	}
	answer, err := e.post(ctx, place.TokenEndpoint, p)
	e.doubt(err, now)
	return answer, scrub(err, p.secrets...)
}

// doubt forgets the metadata after an error by which the endpoint may have moved: no answer, none of a token endpoint, or
// a refusal when they are old.
func (e *endpoint) doubt(err error, now time.Time) {
	var busy *busyError
	known := e.found.Load()
	isAnswer := errors.Is(err, ErrRefused) || errors.As(err, &busy)
	if err != nil && known != nil && (!isAnswer || now.Sub(known.at) > recheckAfter) {
		e.found.Store(nil)
	}
}

// prove asks the credential, which may be a key in hardware or a file on a network, and waits for it no longer than for
// the issuer. While one hangs no other is asked.
func (s *slot) prove(ctx context.Context, p *proof) error {
	if !s.proving.CompareAndSwap(false, true) {
		return fmt.Errorf("%w: it has not answered since it was last asked", ErrCredential)
	}
	done := make(chan error, 1)
	go func() {
		err := fmt.Errorf("%w: it ended without an answer", ErrCredential) // by runtime.Goexit
		defer func() {
			s.proving.Store(false) // first: who has the answer may ask again at once
			done <- err
		}()
		err = p.cfg.Credential.prove(p)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: it did not answer in time", ErrCredential)
	}
}

// find returns the token endpoint.
func (e *endpoint) find(ctx context.Context, now time.Time) (remote.Metadata, error) {
	if e.configured != "" {
		return remote.Metadata{TokenEndpoint: e.configured}, nil
	}
	if known := e.found.Load(); known != nil {
		return known.Metadata, nil
	}
	metadata, err := remote.Fetcher{Client: e.client}.Metadata(ctx, e.issuer)
	var status *remote.StatusError
	switch {
	case errors.As(err, &status) && !isBusy(status.Status): // somebody is there, but no issuer of this name
		return metadata, fmt.Errorf("%w: %w", ErrAnswer, err)
	case errors.Is(err, remote.ErrFetch):
		return metadata, fmt.Errorf("%w: %w", ErrUnreachable, err)
	case err != nil:
		return metadata, fmt.Errorf("%w: %w", ErrAnswer, err)
	case metadata.TokenEndpoint == "":
		return metadata, fmt.Errorf("%w: the metadata have no token_endpoint", ErrAnswer)
	}
	e.found.Store(&found{metadata, now})
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
