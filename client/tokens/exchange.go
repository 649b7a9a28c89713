package tokens

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"example.com/signet/keys"
	"example.com/signet/keys/remote"
)

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 §2.2
	assertionLife = time.Minute
	maxAnswer     = 64 << 10
	maxLife       = 24 * 60 * 60 // seconds; a longer expires_in counts as this
)

// assertion signs a client assertion that is good once, for a minute (RFC 7523 §3).
func (s *Source) assertion(now time.Time) (string, error) {
	payload, err := json.Marshal(struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience string `json:"aud"`
		ID       string `json:"jti"`
		IssuedAt int64  `json:"iat"`
		Expires  int64  `json:"exp"`
	}{s.cfg.ClientID, s.cfg.ClientID, s.cfg.Issuer, rand.Text(), now.Unix(), now.Add(assertionLife).Unix()})
	if err != nil {
		return "", fmt.Errorf("writing the client assertion: %w", err)
	}
	return s.cfg.Key.Sign(keys.TypeClientAssertion, payload)
}

// form is the token request (RFC 6749 §4.4.2).
func (s *Source) form(assertion string) url.Values {
	form := url.Values{
		"grant_type":            {"client_credentials"},
		"client_assertion_type": {assertionType},
		"client_assertion":      {assertion},
	}
	if s.cfg.Resource != "" {
		form.Set("resource", s.cfg.Resource)
	}
	if len(s.cfg.Scope) > 0 {
		form.Set("scope", strings.Join(s.cfg.Scope, " "))
	}
	return form
}

// endpoint is the issuer's token endpoint, found in its metadata and kept for as long as it answers as one.
type endpoint struct {
	issuer  string
	client  *http.Client
	address atomic.Pointer[string]
}

// RefusedError is an OAuth error of the issuer (RFC 6749 §5.2). It wraps [ErrRefused].
type RefusedError struct {
	Code        string // such as invalid_client
	Description string // the issuer's words; may be empty
}

func (e *RefusedError) Error() string {
	if e.Description == "" {
		return fmt.Sprintf("%v: %q", ErrRefused, clip(e.Code))
	}
	return fmt.Sprintf("%v: %q: %q", ErrRefused, clip(e.Code), clip(e.Description))
}

func (e *RefusedError) Unwrap() error { return ErrRefused }

// clip keeps a long text of somebody else's out of our errors.
func clip(text string) string { return text[:min(len(text), 200)] }

// granted is the answer to a granted request (RFC 6749 §5.1).
type granted struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Scope       string `json:"scope"`
}

func (e *endpoint) exchange(ctx context.Context, form url.Values) (granted, error) {
	address, err := e.find(ctx)
	if err != nil {
		return granted{}, err
	}
	answer, err := e.post(ctx, address, form)
	if err != nil && !errors.Is(err, ErrRefused) {
		e.address.Store(nil) // it may have moved
	}
	return answer, err
}

func (e *endpoint) post(ctx context.Context, address string, form url.Values) (granted, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return granted{}, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := e.client.Do(req)
	if err != nil {
		return granted{}, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer resp.Body.Close()
	body, err := remote.ReadAll(resp.Body, maxAnswer)
	if err != nil {
		return granted{}, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if resp.StatusCode != http.StatusOK {
		return granted{}, readRefusal(resp.StatusCode, body)
	}
	return readGranted(body)
}

// find returns the address of the token endpoint.
func (e *endpoint) find(ctx context.Context) (string, error) {
	if known := e.address.Load(); known != nil {
		return *known, nil
	}
	metadata, err := remote.Fetcher{Client: e.client}.Metadata(ctx, e.issuer)
	switch {
	case errors.Is(err, remote.ErrFetch):
		return "", fmt.Errorf("%w: %w", ErrUnreachable, err)
	case err != nil:
		return "", fmt.Errorf("%w: %w", ErrAnswer, err)
	case metadata.TokenEndpoint == "":
		return "", fmt.Errorf("%w: the metadata have no token_endpoint", ErrAnswer)
	}
	e.address.Store(&metadata.TokenEndpoint)
	return metadata.TokenEndpoint, nil
}

func readRefusal(status int, body []byte) error {
	var refused struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	isOAuth := keys.DecodeObject(bytes.TrimSpace(body), &refused) == nil && refused.Error != ""
	switch {
	case status >= http.StatusInternalServerError:
		return fmt.Errorf("%w: status %d", ErrUnreachable, status)
	case isOAuth:
		return &RefusedError{refused.Error, refused.Description}
	}
	return fmt.Errorf("%w: status %d without an OAuth error", ErrAnswer, status)
}

func readGranted(body []byte) (granted, error) {
	var g granted
	if err := keys.DecodeObject(bytes.TrimSpace(body), &g); err != nil {
		return granted{}, fmt.Errorf("%w: not a JSON object of the right types", ErrAnswer)
	}
	switch {
	case g.AccessToken == "" || strings.ContainsFunc(g.AccessToken, func(r rune) bool { return r <= ' ' || r > '~' }):
		return granted{}, fmt.Errorf("%w: no access_token that fits into a header", ErrAnswer)
	case !strings.EqualFold(g.TokenType, "Bearer"):
		return granted{}, fmt.Errorf("%w: token_type %.20q is not Bearer", ErrAnswer, g.TokenType)
	case g.ExpiresIn < 0:
		return granted{}, fmt.Errorf("%w: negative expires_in", ErrAnswer)
	}
	g.ExpiresIn = min(g.ExpiresIn, maxLife)
	return g, nil
}

// noRedirects returns a copy of client that hands a redirect back as the answer: an assertion is for the endpoint that
// the metadata name, and for nobody else.
func noRedirects(client *http.Client) *http.Client {
	if client == nil {
		client = http.DefaultClient
	}
	strict := *client
	strict.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &strict
}
