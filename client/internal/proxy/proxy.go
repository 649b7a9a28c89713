// Package proxy passes the requests of programs on to a protected API, with an access token on each of them.
package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"example.com/signet/client/tokens"
)

// Config is where to and how.
type Config struct {
	Upstream *url.URL       // of the API: scheme, host, and the path that all paths begin with
	Source   *tokens.Source // of tokens for its origin
	Base     http.RoundTripper
	Log      *slog.Logger
}

// patience is how long the other side of this machine may take to send or take the next piece of a body.
const patience = time.Minute

// New returns a handler that replaces whatever token a request has by a fresh one and passes it on. Bodies and answers
// flow as they come, and upgrades such as WebSocket pass. Redirects within the API come back to the proxy. It is safe
// for concurrent use.
func New(cfg Config) http.Handler {
	p := &proxy{cfg: cfg, sometimes: rate.Sometimes{First: 1, Interval: time.Second}}
	p.reverse = &httputil.ReverseProxy{
		Rewrite:        p.rewrite,
		ModifyResponse: p.modify,
		ErrorHandler:   p.failed,
		Transport:      cfg.Source.Transport(cfg.Base),
		FlushInterval:  -1,
		ErrorLog:       slog.NewLogLogger(cfg.Log.Handler(), slog.LevelWarn),
	}
	return p
}

type proxy struct {
	cfg       Config
	reverse   *httputil.ReverseProxy
	sometimes rate.Sometimes // for the log
	unwritten atomic.Int64   // failures since it last wrote one
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodConnect:
		http.Error(w, "this is no forward proxy", http.StatusMethodNotAllowed)
		return
	case http.MethodTrace: // its answer is the request, token and all (RFC 9110 §9.3.8)
		http.Error(w, "TRACE is not passed on", http.StatusMethodNotAllowed)
		return
	}
	r = r.WithContext(r.Context()) // a copy: the server asks its own body how to close the connection after an early answer
	p.reverse.ServeHTTP(patiently(w, r), r)
}

func (p *proxy) rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.RawQuery = r.In.URL.RawQuery // as it was written: [httputil.ReverseProxy] has left out what it cannot parse
	r.SetURL(p.cfg.Upstream)
	r.Out.Trailer = nil // a server that adds trailers to the headers must not find a token in them
	for name := range r.Out.Header {
		if strings.EqualFold(name, "Token") || strings.EqualFold(name, "Authorization") {
			delete(r.Out.Header, name)
		}
	}
}

// modify turns a redirect to the API into one to the proxy: there the program that follows it gets its token.
func (p *proxy) modify(answer *http.Response) error {
	if answer.StatusCode == http.StatusSwitchingProtocols &&
		!strings.EqualFold(answer.Header.Get("Upgrade"), answer.Request.Header.Get("Upgrade")) {
		return errUpgrade
	}
	location, err := answer.Location()
	if err != nil {
		return nil // there is none
	}
	up := p.cfg.Upstream
	path, inside := strings.CutPrefix(location.EscapedPath(), strings.TrimSuffix(up.EscapedPath(), "/"))
	if location.Scheme != up.Scheme || location.Host != up.Host || !inside || (path != "" && path[0] != '/') {
		answer.Header.Set("Location", location.String()) // in full: here it would mean another place
		return nil
	}
	local := "/" + strings.TrimLeft(path, "/")
	if location.RawQuery != "" {
		local += "?" + location.RawQuery
	}
	if location.Fragment != "" {
		local += "#" + location.EscapedFragment()
	}
	answer.Header.Set("Location", local)
	return nil
}

// failed answers when the API did not. The program learns which side failed, the log why.
func (p *proxy) failed(w http.ResponseWriter, r *http.Request, cause error) {
	status, text := answerFor(cause)
	if r.Context().Err() == nil {
		p.log(status, cause)
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, text, status)
}

// log writes one failure a second, and how many there were besides: an API that is away would fill the log.
func (p *proxy) log(status int, cause error) {
	written := false
	p.sometimes.Do(func() {
		written = true
		p.cfg.Log.Warn("passing on failed", "status", status, "cause", cause, "others", p.unwritten.Swap(0))
	})
	if !written {
		p.unwritten.Add(1)
	}
}

// errUpgrade is an answer that nobody asked for. It says so in our words: those of the API may be anything.
var errUpgrade = errors.New("the API switches to another protocol than was asked for")

// answerFor is the one table from cause to answer.
func answerFor(cause error) (status int, text string) {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(cause, tokens.ErrUnreachable), errors.Is(cause, tokens.ErrClosed):
		return http.StatusServiceUnavailable, "no token: the issuer cannot be reached"
	case errors.Is(cause, tokens.ErrRefused), errors.Is(cause, tokens.ErrAnswer):
		return http.StatusBadGateway, "no token: the issuer gave none"
	case errors.Is(cause, tokens.ErrCredential):
		return http.StatusBadGateway, "no token: this client's credential cannot be used"
	case errors.Is(cause, context.Canceled):
		return statusCallerGone, "the request was given up"
	case errors.As(cause, &timeout) && timeout.Timeout():
		return http.StatusGatewayTimeout, "the API does not answer"
	}
	return http.StatusBadGateway, "the API cannot be reached"
}

// statusCallerGone is what nginx writes in its log for a caller who did not wait. Nobody receives it.
const statusCallerGone = 499
