// Package proxy passes authorised requests on to an application that knows nothing of tokens.
package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"example.com/signet/resource/bearer"
	"example.com/signet/resource/verify"
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
	if err := p.check(r); err != nil {
		p.failed(w, r, err)
		return
	}
	if isWebSocket(r) {
		if !time.Now().Before(claims.Expires()) { // within the leeway, which is no time for a conversation
			bearer.Refuse(w, r, verify.ErrExpired)
			return
		}
		ctx, cancel := context.WithDeadline(r.Context(), claims.Expires())
		defer cancel()
		r = r.WithContext(ctx)
	}
	w.Header().Del("Cache-Control") // the application's counts, or else modify's
	r.Body = http.MaxBytesReader(w, r.Body, p.cfg.MaxBody)
	p.reverse.ServeHTTP(patiently(w, r, p.cfg.Patience), r)
}

// rewrite makes the request that the application gets. Whatever headers a connection's own header names are gone by
// now, so a caller cannot have the identity removed on the way.
func (p *proxy) rewrite(r *httputil.ProxyRequest) {
	r.SetURL(p.cfg.Upstream)
	r.SetXForwarded()
	r.Out.Header.Del("Token")
	r.Out.Header.Del("Authorization")
	if !isWebSocket(r.In) { // a server may ignore an upgrade (RFC 9110 §7.8)
		r.Out.Header.Del("Connection")
		r.Out.Header.Del("Upgrade")
		r.Out.Header.Del("Http2-Settings")
	}
	r.Out.Header.Set("X-Request-Id", p.cfg.ID(r.In))
	r.Out.Trailer = nil // a server that adds trailers to the headers must not find an identity in them
	claims, _ := bearer.ClaimsFrom(r.In.Context())
	_ = p.cfg.Headers.Set(r.Out.Header, claims) // ServeHTTP has seen that it can
}

// modify completes the application's answer.
func (p *proxy) modify(answer *http.Response) error {
	answer.Header.Del("X-Request-Id") // ours is there
	if answer.StatusCode == http.StatusSwitchingProtocols {
		if answer.Request.Header["Upgrade"] == nil {
			return errors.New("the application switched protocols unasked")
		}
		return nil
	}
	if answer.Header["Cache-Control"] == nil {
		answer.Header.Set("Cache-Control", "no-store")
	}
	answer.Body = &answerBody{answer.Body, p, answer.Request}
	return nil
}
