package tokens

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Transport returns a RoundTripper that puts a token on each request to the configured origin and sends it with base;
// nil means [http.DefaultTransport]. A request to another origin, as after a redirect, or with another Host goes without
// a token; one that comes back has one again. A request that has a Token or Authorization header already is an
// [ErrHasToken], and every request an [ErrNoOrigin] when neither Origin nor Resource says where tokens may go.
//
// When the answer is 401 with the error invalid_token (RFC 6750 §3.1), that very token is dropped, and the request sent
// once more with another one if it has no body or its GetBody gives it again; five times, and from then on once in ten
// seconds, lest a resource server that refuses all of them cost the issuer a token for each request. It is safe for
// concurrent use.
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

var _ http.RoundTripper = (*transport)(nil)

// Format writes what the source's does, for every verb: fmt would look into the fields.
func (t *transport) Format(w fmt.State, verb rune) { t.source.Format(w, verb) }

// RoundTrip keeps to the contract of http.RoundTripper: the request is not changed, its body always closed.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	switch {
	case req.URL == nil || req.Header == nil: // no request: base has the words for it
		return t.base.RoundTrip(req)
	case t.source.origin == origin{}:
		closeBody(req)
		return nil, ErrNoOrigin
	case !t.isOurs(req):
		return t.base.RoundTrip(req)
	case hasToken(req.Header):
		closeBody(req)
		return nil, ErrHasToken
	}
	token, err := t.source.held(req.Context())
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := t.send(req, req.Body, token)
	if err != nil || resp == nil || !saysInvalidToken(resp) {
		return resp, err
	}
	return t.again(req, resp, token)
}

// send sends a copy of req with another body and a token.
func (t *transport) send(req *http.Request, body io.ReadCloser, token *held) (*http.Response, error) {
	signed := req.WithContext(req.Context())
	signed.Body = body
	signed.Header = req.Header.Clone()
	signed.Header[t.source.client.cfg.Header.name()] = []string{token.value}
	resp, err := t.base.RoundTrip(signed)
	if err != nil {
		closeAnswer(resp)
		return nil, scrub(err, token.token.AccessToken())
	}
	if resp != nil {
		resp.Request = req // whoever looks at the answer's request shall not see the token
	}
	return resp, nil
}

// closeAnswer closes what a base that does not keep to its contract may not have given.
func closeAnswer(resp *http.Response) {
	if resp != nil && resp.Body != nil {
		_ = resp.Body.Close()
	}
}

// again sends req once more, with another token than the one that was refused. Where that is not possible, the refusal
// is the answer.
func (t *transport) again(req *http.Request, refusal *http.Response, refused *held) (*http.Response, error) {
	if !t.source.slot.renew(refused) {
		return refusal, nil
	}
	body, ok := replay(req)
	if !ok {
		return refusal, nil
	}
	fresh, err := t.source.held(req.Context())
	if err != nil || fresh.token.is(refused.token) {
		_ = body.Close()
		return refusal, nil
	}
	closeAnswer(refusal)
	return t.send(req, body, fresh)
}

// replay returns the body of req from its beginning, if that can be had.
func replay(req *http.Request) (io.ReadCloser, bool) {
	if req.Body == nil || req.Body == http.NoBody {
		return http.NoBody, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	body, err := req.GetBody()
	return body, err == nil && body != nil
}

// isOurs reports whether a request goes to the configured origin, by its address and by the Host that it names.
func (t *transport) isOurs(req *http.Request) bool {
	if originOf(req.URL) != t.source.origin {
		return false
	}
	named := url.URL{Scheme: req.URL.Scheme, Host: req.Host}
	return req.Host == "" || req.Host == req.URL.Host || originOf(&named) == t.source.origin
}

// CloseIdleConnections is for [http.Client.CloseIdleConnections].
func (t *transport) CloseIdleConnections() {
	if closer, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// hasToken reports whether h carries a token. Names that somebody wrote into the map by hand may be in any letter case,
// and go out as they are.
func hasToken(h http.Header) bool {
	for name := range h {
		switch len(name) { // most names are of another length
		case len("Token"):
			if strings.EqualFold(name, "Token") {
				return true
			}
		case len("Authorization"):
			if strings.EqualFold(name, "Authorization") {
				return true
			}
		}
	}
	return false
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
