// Package remote fetches what an issuer publishes, its metadata and its JWK Set, and trusts nothing about the way
// there: https or loopback only, no redirect to another origin, status 200, 5 seconds for all of it, 512 KiB at most.
package remote

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"example.com/signet/keys"
)

// What can go wrong with a fetch; every error wraps one of these, or a sentinel of package keys.
var (
	ErrURL       = errors.New("URL not allowed")         // neither https nor loopback, or not a URL
	ErrFetch     = errors.New("fetching failed")         // no answer, a wrong status, a redirect, too much
	ErrDocument  = errors.New("unusable document")       // an answer that is not the document it should be
	ErrIssuer    = errors.New("another issuer's answer") // the metadata name another issuer than the one asked
	errRedirect  = errors.New("redirect to another origin")
	errRedirects = errors.New("too many redirects")
)

const (
	defaultTimeout  = 5 * time.Second
	maxMetadataSize = 512 << 10
	maxRedirects    = 3
)

// Fetcher fetches documents. The zero value is ready; it is safe for concurrent use.
type Fetcher struct {
	// Client sends the requests; nil means [http.DefaultClient]. Its redirect policy is replaced by ours.
	Client *http.Client
	// Timeout is how long one document may take, its body included. Zero is 5 s.
	Timeout time.Duration
	// Limits are those of a JWK Set.
	Limits keys.SetLimits
}

// Metadata is what is read of an issuer's metadata (RFC 8414 §2).
type Metadata struct {
	Issuer        string `json:"issuer"`
	TokenEndpoint string `json:"token_endpoint"` // may be empty
	JWKSURI       string `json:"jwks_uri"`       // may be empty

	// AuthMethods are the ways in which a client may prove who it is at the token endpoint; empty: it does not say.
	AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
}

// Metadata fetches the metadata of issuer: from RFC 8414's place, and where the server has nothing there (4xx) from
// OpenID Connect Discovery's. The issuer in the document must be the one that was asked, as strings (RFC 8414 §3.3).
func (f Fetcher) Metadata(ctx context.Context, issuer string) (Metadata, error) {
	places, err := metadataPlaces(issuer)
	if err != nil {
		return Metadata{}, err
	}
	metadata, err := f.metadataAt(ctx, places[0], issuer)
	if errors.Is(err, errNothingThere) {
		metadata, err = f.metadataAt(ctx, places[1], issuer)
	}
	return metadata, err
}

// errNothingThere is an answer by a server that has no metadata at that place. Some say 403 to whoever is not logged
// in.
var errNothingThere = errors.New("no metadata there")

func (f Fetcher) metadataAt(ctx context.Context, place, issuer string) (Metadata, error) {
	a, err := f.get(ctx, place, "", maxMetadataSize)
	switch {
	case err != nil && 400 <= a.status && a.status < 500 && a.status != http.StatusTooManyRequests:
		return Metadata{}, fmt.Errorf("asking for the metadata of %s: %w: %w", issuer, errNothingThere, err)
	case err != nil:
		return Metadata{}, fmt.Errorf("asking for the metadata of %s: %w", issuer, err)
	}
	return readMetadata(issuer, a.body)
}

func readMetadata(issuer string, body []byte) (Metadata, error) {
	var m Metadata
	if err := keys.DecodeObject(bytes.TrimSpace(body), &m); err != nil {
		return Metadata{}, fmt.Errorf("reading the metadata of %s: %w", issuer, ErrDocument)
	}
	if m.Issuer != issuer {
		return Metadata{}, fmt.Errorf("reading the metadata of %s: %w: %.200q", issuer, ErrIssuer, m.Issuer)
	}
	for _, u := range []string{m.TokenEndpoint, m.JWKSURI} {
		if u == "" {
			continue
		}
		if err := checkNamed(u, issuer); err != nil {
			return Metadata{}, fmt.Errorf("reading the metadata of %s: %w", issuer, err)
		}
	}
	return m, nil
}

// checkNamed checks an address that an issuer's metadata name. The issuer of other machines cannot send anybody to this
// one, where any program might answer.
func checkNamed(address, issuer string) error {
	if isHTTPS(issuer) && !isHTTPS(address) {
		return fmt.Errorf("%w: %.200q is not https, as the issuer is", ErrURL, address)
	}
	return CheckURL(address)
}

// isHTTPS reports whether an address is https; a scheme is so in any letter case (RFC 3986 §3.1).
func isHTTPS(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "https"
}

// metadataPlaces returns where the metadata may be: the well-known name before the issuer's path (RFC 8414 §3.1), and
// behind it (OpenID Connect Discovery §4).
func metadataPlaces(issuer string) ([]string, error) {
	if err := CheckIssuer(issuer); err != nil {
		return nil, err
	}
	u, err := url.Parse(issuer)
	if err != nil {
		return nil, fmt.Errorf("%w: %.200q", ErrURL, issuer)
	}
	origin := u.Scheme + "://" + u.Host
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	return []string{
		origin + "/.well-known/oauth-authorization-server" + path,
		origin + path + "/.well-known/openid-configuration",
	}, nil
}

// Document is a JWK Set as it was fetched.
type Document struct {
	Set     *keys.Set     // at least one key
	Skipped []error       // why other keys of the set were left out
	MaxAge  time.Duration // how long it may be kept, as Cache-Control says; negative: it did not say
	address string        // where it came from
	etag    string        // what it was called there; means nothing anywhere else
}

// JWKS fetches the JWK Set at address. Previous is the document that is there from before, or nil: when the server says
// that it still stands, it is what comes back, with the new MaxAge.
func (f Fetcher) JWKS(ctx context.Context, address string, previous *Document) (*Document, error) {
	etag := ""
	if previous != nil && previous.address == address {
		etag = previous.etag
	}
	a, err := f.get(ctx, address, etag, f.maxSetSize())
	if err != nil {
		return nil, fmt.Errorf("asking for the JWK Set at %s: %w", address, err)
	}
	if a.status == http.StatusNotModified {
		same := *previous
		same.MaxAge = a.maxAge
		return &same, nil
	}
	set, skipped, err := f.Limits.Parse(a.body)
	if err != nil {
		return nil, fmt.Errorf("reading the JWK Set at %s: %w", address, err)
	}
	return &Document{Set: set, Skipped: skipped, MaxAge: a.maxAge, address: address, etag: a.etag}, nil
}

// ReadJWKS reads a JWK Set from r, such as a file, under the same limits. It is to be kept for no time.
func (f Fetcher) ReadJWKS(r io.Reader) (*Document, error) {
	body, err := ReadAll(r, f.maxSetSize())
	if err != nil {
		return nil, err
	}
	set, skipped, err := f.Limits.Parse(body)
	if err != nil {
		return nil, err
	}
	return &Document{Set: set, Skipped: skipped}, nil
}

func (f Fetcher) maxSetSize() int64 { return int64(cmp.Or(f.Limits.Size, keys.MaxSetSize)) }

// answer is a response after every check. With an error, only its status is set, if one came.
type answer struct {
	status int // 200, or 304 when an etag was sent
	body   []byte
	etag   string
	maxAge time.Duration
}

// get fetches a document of at most limit octets.
func (f Fetcher) get(ctx context.Context, address, etag string, limit int64) (answer, error) {
	if err := CheckURL(address); err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(f.Timeout, defaultTimeout)) // for the body too
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", ErrURL, err)
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	resp, err := SameOrigin(f.Client).Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", ErrFetch, err)
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, etag: resp.Header.Get("ETag"), maxAge: maxAge(resp.Header)}
	if a.status == http.StatusNotModified && etag != "" {
		return a, nil
	}
	if a.status != http.StatusOK {
		return answer{status: a.status}, &StatusError{a.status, RetryAfter(resp.Header)}
	}
	a.body, err = ReadAll(resp.Body, limit)
	return a, err
}

// ReadAll reads r to its end. More than limit octets, or a failure on the way, is an [ErrFetch].
func ReadAll(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%w: reading the answer: %w", ErrFetch, err)
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("%w: the answer is longer than %d octets", ErrFetch, limit)
	}
	return body, nil
}

// SameOrigin returns a copy of client, nil meaning [http.DefaultClient], that follows at most three redirects and none
// to another origin.
func SameOrigin(client *http.Client) *http.Client {
	if client == nil {
		client = http.DefaultClient
	}
	strict := *client
	strict.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		from := via[0].URL
		switch {
		case req.URL.Scheme != from.Scheme || req.URL.Host != from.Host:
			return errRedirect
		case len(via) > maxRedirects:
			return errRedirects
		}
		return nil
	}
	return &strict
}

const unsaid time.Duration = -1

// maxAge reads Cache-Control (RFC 9111 §5.2.2). What cannot be read counts as not said; an answer that is not to be
// kept is kept for no time.
func maxAge(h http.Header) time.Duration {
	age := unsaid
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			if seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				age = time.Duration(seconds) * time.Second
			}
		}
	}
	return age
}
