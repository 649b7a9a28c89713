// Package doctor examines an issuer from outside, as the clients and resource servers that depend on it see it: its
// metadata, its JWK Set, how that may be cached and what this means for rotation, its token endpoint, its clock and its
// certificate. Nothing that Signet alone knows is needed, so it does so for any issuer:
//
//	report, err := doctor.Examine(ctx, doctor.Config{Issuer: "https://issuer.example.com"})
//	...
//	err = report.WriteText(os.Stdout, false)
//
// It sends no credential, and at most twelve requests. What the issuer answers is untrusted: it is read under limits, and
// reaches a report quoted and clipped.
package doctor

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"example.com/signet/keys/remote"
)

// Config says what to examine.
type Config struct {
	// Issuer is the issuer identifier (RFC 8414 §2), exactly as clients and resource servers are configured with it.
	Issuer string
	// HTTPClient sends the requests; nil is one of its own. Its redirect policy is replaced, its cookies are not used, and
	// its timeout counts where it is shorter than the 5 s that each request may take.
	HTTPClient *http.Client
	// Now is the clock that the issuer's is compared with; nil is time.Now.
	Now func() time.Time
}

// Examine asks the issuer for all that it publishes and reports what it finds. An issuer that does not answer is a
// finding. The error wraps [remote.ErrURL] when there is no issuer of that name to ask, and otherwise is that of ctx.
func Examine(ctx context.Context, cfg Config) (Report, error) {
	if err := remote.CheckIssuer(cfg.Issuer); err != nil {
		return Report{}, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	e := &examination{issuer: cfg.Issuer, fetcher: newFetcher(cfg), now: cfg.Now}
	defer e.fetcher.close()
	e.examine(ctx)
	if err := ctx.Err(); err != nil {
		return Report{}, fmt.Errorf("examining %s: %w", cfg.Issuer, err)
	}
	return e.report(), nil
}

// examination is one visit to an issuer.
type examination struct {
	issuer   string
	fetcher  *fetcher
	now      func() time.Time
	findings []Finding
}

func (e *examination) examine(ctx context.Context) {
	e.identifier()
	named := e.metadata(ctx)
	e.keySet(ctx, named.jwksURI)
	e.tokenEndpoint(ctx, named.tokenEndpoint)
	e.clock()
	e.connections()
}

// add reports what a rule has found.
func (e *examination) add(r rule, format string, args ...any) {
	e.findings = append(e.findings, r.finding(format, args...))
}

// good reports that there is nothing to find fault with.
func (e *examination) good(check, format string, args ...any) {
	e.add(rule{check: check, grade: Good}, format, args...)
}
