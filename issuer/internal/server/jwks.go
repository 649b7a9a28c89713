package server

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"example.com/signet/keys"
)

const jwksPath = "/.well-known/jwks.json"

// document is a rendered JWK Set, with the headers that go with it, and what it was rendered from.
type document struct {
	ring  *keys.Ring
	until time.Time // when another key signs, which changes the order; zero: never

	body    []byte
	etag    string
	headers http.Header
}

// jwksHandler serves the JWK Set (RFC 7517 §5). It renders it again only when the ring is another one or another key has
// started to sign; all issuers that hold the same keys render the same octets.
func jwksHandler(cfg Config) http.HandlerFunc {
	var current atomic.Pointer[document]
	return func(w http.ResponseWriter, r *http.Request) {
		doc, err := latest(&current, cfg)
		if err != nil {
			cfg.Log.ErrorContext(r.Context(), "rendering the JWK Set failed", "cause", err, "request_id", exchangeOf(w).id)
			w.Header().Set("Retry-After", retryAfter(usualWait))
			http.Error(w, "no keys now", http.StatusServiceUnavailable)
			return
		}
		header := w.Header()
		for name, values := range doc.headers {
			header[name] = values
		}
		if matches(r.Header["If-None-Match"], doc.etag) {
			delete(header, "Content-Length")
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(doc.body)
	}
}

func latest(current *atomic.Pointer[document], cfg Config) (*document, error) {
	doc, ring, now := current.Load(), cfg.Ring(), cfg.Now()
	if doc != nil && doc.ring == ring && (doc.until.IsZero() || now.Before(doc.until)) {
		return doc, nil
	}
	doc, err := render(ring, now, cfg.MaxAge)
	if err == nil {
		current.Store(doc)
	}
	return doc, err
}

func render(ring *keys.Ring, now time.Time, maxAge time.Duration) (*document, error) {
	if ring == nil { // a ring has at least one key, and a set without one must never be served
		return nil, keys.ErrNoKeys
	}
	body, err := ring.Published(now).MarshalJSON()
	if err != nil {
		return nil, err
	}
	body = append(body, '\n')
	sum := sha256.Sum256(body)
	doc := &document{ring: ring, body: body, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:18]) + `"`}
	doc.until, _ = ring.NextChange(now)
	doc.headers = http.Header{
		"Content-Type":   {"application/jwk-set+json"},
		"Content-Length": {strconv.Itoa(len(body))},
		"Cache-Control":  {fmt.Sprintf("public, max-age=%d", int(maxAge.Seconds()))},
		"Etag":           {doc.etag},
	}
	return doc, nil
}

// matches compares entity tags weakly, as RFC 9110 §13.1.2 wants it here.
func matches(ifNoneMatch []string, etag string) bool {
	for _, value := range ifNoneMatch {
		for tag := range strings.SplitSeq(value, ",") {
			tag = strings.TrimSpace(tag)
			if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
				return true
			}
		}
	}
	return false
}
