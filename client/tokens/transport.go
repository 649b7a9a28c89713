package tokens

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Transport returns a RoundTripper that puts a token on each request to the configured origin and sends it with base;
// nil means [http.DefaultTransport]. A request to another origin, as after a redirect, goes without a token. A request
// that has a Token or Authorization header already is refused, and so is every request when neither Origin nor Resource
// is configured. It is safe for concurrent use.
func (s *Source) Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{s, base}
}

type transport struct {
	source *Source
	base   http.RoundTripper
}

// RoundTrip keeps to the contract of http.RoundTripper: the request is not changed, its body always closed.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	switch {
	case t.source.origin == "":
		closeBody(req)
		return nil, errNoOrigin
	case origin(req.URL) != t.source.origin:
		return t.base.RoundTrip(req)
	case len(req.Header["Token"]) > 0 || len(req.Header["Authorization"]) > 0:
		closeBody(req)
		return nil, errHasToken
	}
	token, err := t.source.Token(req.Context())
	if err != nil {
		closeBody(req)
		return nil, err
	}
	signed := req.Clone(req.Context())
	switch t.source.cfg.Header {
	case AuthorizationHeader:
		signed.Header.Set("Authorization", "Bearer "+token.AccessToken())
	default:
		signed.Header.Set("Token", token.AccessToken())
	}
	return t.base.RoundTrip(signed)
}

var (
	errNoOrigin = errors.New("tokens: neither Origin nor Resource is configured: no request may get a token")
	errHasToken = errors.New("tokens: the request has a Token or Authorization header already")
)

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// originOf returns where tokens may be sent.
func originOf(cfg Config) (string, error) {
	address := cfg.Origin
	if address == "" {
		address = cfg.Resource
	}
	if address == "" {
		return "", nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("tokens: %q has no origin", address)
	}
	return origin(u), nil
}

// origin is scheme, host and port as RFC 6454 §4 compares them.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}
