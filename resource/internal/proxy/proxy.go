// Package proxy passes authorised requests on to an application that knows nothing of tokens.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"example.com/signet/resource/bearer"
)

// Config says where to, and within which limits.
type Config struct {
	Upstream *url.URL               // scheme and host of the application, and the path that its paths begin with
	Headers  bearer.IdentityHeaders // in which it learns who calls
	MaxBody  int64                  // octets of a request's body
	Timeout  time.Duration          // how long it may take to begin its answer
	Patience time.Duration          // how long one read or write of a body may stand still
	Log      *slog.Logger
	ID       func(*http.Request) string // the request's id, for the log and the application
}

// ParseUpstream reads the address of an application: http or https, without user, query and fragment.
func ParseUpstream(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, errors.New("not a URL") // it may have a password in it
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%.200q is neither http nor https", u.Redacted())
	case u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(address, "#"):
		return nil, errors.New("it has no host, or a user, query or fragment")
	}
	return u, nil
}

// New returns a handler that passes on what a guard has let through. The application gets neither the token nor any
// identity header of the caller's making, but the verified identity; a caller whose identity no header can carry is
// refused. Streams flow as they come, and upgrades such as WebSocket end when the token does. It is safe for concurrent
// use.
func New(cfg Config) http.Handler {
	p := &proxy{cfg: cfg}
	p.reverse = &httputil.ReverseProxy{
		Rewrite:        p.rewrite,
		ModifyResponse: p.modify,
		ErrorHandler:   p.failed,
		Transport:      cfg.transport(),
		ErrorLog:       slog.NewLogLogger(cfg.Log.Handler(), slog.LevelWarn),
	}
	return p
}

func (cfg Config) transport() http.RoundTripper {
	const dial = 5 * time.Second
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: dial}).DialContext,
		TLSHandshakeTimeout:   dial,
		ResponseHeaderTimeout: cfg.Timeout,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       time.Minute,
		DisableCompression:    true, // what the application encodes is the caller's to decode
	}
}

type proxy struct {
	cfg     Config
	reverse *httputil.ReverseProxy
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	claims, _ := bearer.ClaimsFrom(r.Context())
	if err := p.cfg.Headers.Set(make(http.Header), claims); err != nil {
		bearer.Refuse(w, r, err)
		return
	}
	if r.ContentLength > p.cfg.MaxBody {
		p.failed(w, r, &http.MaxBytesError{Limit: p.cfg.MaxBody})
		return
	}
	if r.Header.Get("Upgrade") != "" {
		ctx, cancel := context.WithDeadline(r.Context(), claims.Expires())
		defer cancel()
		r = r.WithContext(ctx)
	}
	w.Header().Del("Cache-Control") // the application's counts, or else modify's
	r.Body = http.MaxBytesReader(w, r.Body, p.cfg.MaxBody)
	p.reverse.ServeHTTP(patiently(w, r, p.cfg.Patience), r)
}

// rewrite makes the request that the application gets. Whatever headers a connection's own header names are gone by now,
// so a caller cannot have the identity removed on the way.
func (p *proxy) rewrite(r *httputil.ProxyRequest) {
	r.SetURL(p.cfg.Upstream)
	r.SetXForwarded()
	r.Out.Header.Del("Token")
	r.Out.Header.Del("Authorization")
	r.Out.Header.Set("X-Request-Id", p.cfg.ID(r.In))
	r.Out.Trailer = nil // a server that adds trailers to the headers must not find an identity in them
	claims, _ := bearer.ClaimsFrom(r.In.Context())
	_ = p.cfg.Headers.Set(r.Out.Header, claims) // ServeHTTP has seen that it can
}

// modify completes the application's answer.
func (p *proxy) modify(answer *http.Response) error {
	answer.Header.Del("X-Request-Id") // ours is there
	if answer.Header["Cache-Control"] == nil && answer.StatusCode != http.StatusSwitchingProtocols {
		answer.Header.Set("Cache-Control", "no-store")
	}
	return nil
}

// failed answers when the application did not. The caller learns no more than that.
func (p *proxy) failed(w http.ResponseWriter, r *http.Request, cause error) {
	var tooLarge *http.MaxBytesError
	var timeout net.Error
	status, text := http.StatusBadGateway, "the application cannot be reached"
	switch {
	case errors.As(cause, &tooLarge):
		status, text = http.StatusRequestEntityTooLarge, "the request is too large"
	case errors.Is(cause, context.Canceled):
		status, text = http.StatusBadGateway, "the request was given up"
	case errors.As(cause, &timeout) && timeout.Timeout():
		status, text = http.StatusGatewayTimeout, "the application does not answer"
	}
	p.cfg.Log.WarnContext(r.Context(), "passing on failed", "status", status, "cause", cause, "request_id", p.cfg.ID(r))
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, text, status)
}
