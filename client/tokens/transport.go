package tokens

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"example.com/signet/keys/remote"
)

// Transport returns a RoundTripper that puts a token on each request to the configured origin and sends it with base;
// nil means [http.DefaultTransport]. A request to another origin, as after a redirect, goes without a token. A request
// that has a Token or Authorization header already is refused, and so is every request when neither Origin nor Resource
// says where tokens may go. It is safe for concurrent use.
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

// Format writes what the source's does, for every verb: fmt would look into the fields.
func (t *transport) Format(w fmt.State, verb rune) { t.source.Format(w, verb) }

// RoundTrip keeps to the contract of http.RoundTripper: the request is not changed, its body always closed.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	switch {
	case req.URL == nil || req.Header == nil: // no request: base has the words for it
		return t.base.RoundTrip(req)
	case t.source.origin == "":
		closeBody(req)
		return nil, errNoOrigin
	case origin(req.URL) != t.source.origin:
		return t.base.RoundTrip(req)
	case hasToken(req.Header):
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
	resp, err := t.base.RoundTrip(signed)
	if resp != nil {
		resp.Request = req // whoever looks at the answer's request shall not see the token
	}
	return resp, err
}

// hasToken reports whether h carries a token. Names that somebody wrote into the map by hand may be in any letter case,
// and go out as they are.
func hasToken(h http.Header) bool {
	for name := range h {
		if strings.EqualFold(name, "Token") || strings.EqualFold(name, "Authorization") {
			return true
		}
	}
	return false
}

var (
	errNoOrigin = errors.New("tokens: no origin is configured, neither as Origin nor by Resource: no request may get a token")
	errHasToken = errors.New("tokens: the request has a Token or Authorization header already")
)

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// originOf returns where tokens may be sent, or nothing when cfg does not say. A resource need not be an address: it is
// a name for the issuer, such as urn:example:orders (RFC 8707 §2).
func originOf(cfg Config) (string, error) {
	address := cfg.Origin
	if address == "" {
		address = cfg.Resource
	}
	err := remote.CheckURL(address)
	switch {
	case err != nil && cfg.Origin != "":
		return "", fmt.Errorf("tokens: origin: %w", err)
	case err != nil:
		return "", nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("tokens: origin: %w", err)
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
