package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	maxBody      = 512 << 10
	maxTime      = 5 * time.Second
	maxRedirects = 3 // for one document
	allRedirects = 5 // for all: with the seven questions that there are, twelve requests
)

// fetcher asks the issuer, and remembers what it sees of clocks and certificates on the way.
type fetcher struct {
	client    *http.Client
	own       bool // nobody else has connections of client's
	limit     time.Duration
	now       func() time.Time
	redirects int // that may still be followed

	readings []reading
	secured  []secured
}

func newFetcher(cfg Config) *fetcher {
	f := &fetcher{limit: maxTime, now: cfg.Now, redirects: allRedirects}
	if cfg.HTTPClient == nil {
		f.client, f.own = &http.Client{Transport: ownTransport()}, true
		return f
	}
	strict := *cfg.HTTPClient
	if strict.Timeout > 0 {
		f.limit = min(f.limit, strict.Timeout)
	}
	strict.Timeout, strict.Jar = 0, nil
	f.client = &strict
	return f
}

func ownTransport() http.RoundTripper {
	standard, ok := http.DefaultTransport.(*http.Transport)
	if !ok { // the program has replaced it, and knows why
		return http.DefaultTransport
	}
	transport := standard.Clone()
	transport.MaxResponseHeaderBytes = 64 << 10
	return transport
}

func (f *fetcher) close() {
	if f.own {
		f.client.CloseIdleConnections()
	}
}

// answer is what came back. What was not asked, or did not answer, has an err.
type answer struct {
	address  string // where it came from in the end
	followed bool   // by way of a redirect
	status   int    // 0: no answer
	header   http.Header
	body     []byte
	tooLarge bool
	err      error // no answer, or not all of it
}

// isAbsent reports whether the server says that it has nothing there. Some say 403 to whoever is not logged in.
func (a answer) isAbsent() bool {
	return a.err == nil && 400 <= a.status && a.status < 500 && a.status != http.StatusTooManyRequests
}

func (a answer) isRedirect() bool {
	return 300 <= a.status && a.status < 400 && a.status != http.StatusNotModified
}

// get asks for a document that anybody may have. It follows redirects within the origin, as Signet does.
func (f *fetcher) get(ctx context.Context, address, etag string) answer {
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return answer{address: address, err: err}
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	req.Close = true // a connection for each, for behind one there is always the same replica
	return f.send(ctx, req, maxRedirects)
}

// send sends a request and reads the answer.
func (f *fetcher) send(ctx context.Context, req *http.Request, redirects int) answer {
	ctx, cancel := context.WithTimeout(ctx, f.limit) // for the body too
	defer cancel()
	client := *f.client
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		sameOrigin := req.URL.Scheme == via[0].URL.Scheme && req.URL.Host == via[0].URL.Host
		if !sameOrigin || len(via) > redirects || f.redirects == 0 {
			return http.ErrUseLastResponse
		}
		f.redirects--
		return nil
	}
	req.Header.Set("User-Agent", "signet client check") // for those who read the issuer's log
	asked := req.URL.String()
	sent := f.now()
	resp, err := client.Do(req.WithContext(ctx))
	if err != nil {
		return answer{address: asked, err: err}
	}
	defer resp.Body.Close()
	a := answer{address: resp.Request.URL.String(), status: resp.StatusCode, header: resp.Header}
	a.followed = a.address != asked
	f.observe(resp, sent)
	a.body, a.err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	a.tooLarge = len(a.body) > maxBody
	return a
}

// observe keeps what the answer tells besides itself.
func (f *fetcher) observe(resp *http.Response, sent time.Time) {
	f.readings = append(f.readings, reading{sent: sent, received: f.now(), header: resp.Header})
	if resp.TLS != nil {
		f.secured = append(f.secured, secured{resp.Request.URL.Host, *resp.TLS})
	}
}

// secured is a host that was reached by TLS.
type secured struct {
	host  string
	state tls.ConnectionState
}

// reason is why there is no answer, without the address, which the finding names.
func (f *fetcher) reason(err error) string {
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return "no complete answer within " + f.limit.String()
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return because(err)
}
