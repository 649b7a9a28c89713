package bearer

import (
	"net/http"
	"net/url"
	"strings"
)

// ForwardAuth answers a proxy that asks, with the headers of a request it holds, whether to let the request through:
// nginx's auth_request, Caddy's forward_auth, Traefik's forwardAuth. 200 with the identity headers means yes. No is 401
// or 403, with a challenge, and nothing else: nginx turns any other status into a 500.
//
// A query parameter scope, which the proxy's configuration sets and no caller can, names scope values that the token
// must have: /verify?scope=orders:read. Anything else there is refused; Caddy passes the caller's own query on unless
// the configuration sets one, so end it in a question mark there. A request that comes with identity headers of the
// caller's making is refused too: not every proxy replaces all of them by those in the answer. It is safe for
// concurrent use when its fields are not changed.
type ForwardAuth struct {
	Guard   Guard
	Headers IdentityHeaders
}

// ServeHTTP implements [http.Handler]. It panics when the guard has no verifier.
func (f ForwardAuth) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	guard := f.Guard
	if guard.Verifier == nil {
		panic("bearer: a guard without verifier")
	}
	new(authorized).setHeaders(w.Header())
	if err := f.decide(w.Header(), r); err != nil {
		if guard.Refused != nil {
			guard.Refused(r, err)
		}
		answerFor(err).yesOrNo().write(w, guard.Metadata)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// decide sets the identity headers, or says why not.
func (f ForwardAuth) decide(h http.Header, r *http.Request) error {
	for range f.Headers.in(r.Header) {
		return ErrForged
	}
	needed, err := scopeOf(r)
	if err != nil {
		return err
	}
	token, err := credentials(r.Header)
	if err != nil {
		return err
	}
	claims, err := f.Guard.Verifier.Verify(r.Context(), token)
	if err != nil {
		return err
	}
	if !needed.isIn(claims) {
		return needed
	}
	return f.Headers.Set(h, claims)
}

// scopeOf reads the scope that the proxy asks for. A mistake in its configuration must not open what it should close,
// so anything else in the query is an [ErrQuestion].
func scopeOf(r *http.Request) (*scopeError, error) {
	needed := new(scopeError)
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, ErrQuestion
	}
	for name, scopes := range query {
		if name != "scope" {
			return nil, ErrQuestion
		}
		for value := range strings.SplitSeq(strings.Join(scopes, " "), " ") {
			if !isScope(value) {
				return nil, ErrQuestion
			}
			needed.values = append(needed.values, value)
		}
	}
	return needed, nil
}

// yesOrNo turns an answer into one of the two that a proxy passes on. That keys are missing is no fault of the token,
// so it is not 401, upon which a client would throw its token away.
func (a answer) yesOrNo() answer {
	switch a.status {
	case http.StatusBadRequest:
		a.status = http.StatusUnauthorized
	case http.StatusServiceUnavailable:
		a.status = http.StatusForbidden
	}
	return a
}
