package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-json-experiment/json"

	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/keys"
)

const jwksPath = "/.well-known/jwks.json"

// wellKnown routes GET and HEAD of a public document. Scripts of any origin may read it: nothing in it is secret.
func wellKnown(r chi.Router, path string, handler http.HandlerFunc) {
	open := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		handler(w, r)
	}
	r.Get(path, open)
	r.Head(path, open)
}

// document is a rendered JWK Set and the time until which it is right.
type document struct {
	body  []byte
	etag  string
	until time.Time // zero: for as long as the keys stay
}

// jwksHandler serves the JWK Set (RFC 7517 §5). It renders it again only when another key has started to sign.
func jwksHandler(cfg Config) http.HandlerFunc {
	var current atomic.Pointer[document]
	cacheControl := fmt.Sprintf("public, max-age=%d", int(cfg.MaxAge.Seconds()))
	return func(w http.ResponseWriter, r *http.Request) {
		doc, now := current.Load(), cfg.Now()
		if doc == nil || (!doc.until.IsZero() && !now.Before(doc.until)) {
			rendered, err := renderSet(cfg.Keys, now)
			if err != nil {
				cfg.Log.ErrorContext(r.Context(), "rendering the JWK Set failed", "cause", err, "request_id", requestIDOf(r))
				w.Header().Set("Retry-After", retryAfter)
				http.Error(w, "no keys now", http.StatusServiceUnavailable)
				return
			}
			doc = rendered
			current.Store(doc)
		}
		w.Header().Set("Content-Type", "application/jwk-set+json")
		w.Header().Set("Cache-Control", cacheControl)
		w.Header().Set("ETag", doc.etag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(doc.body))
	}
}

func renderSet(source Keys, now time.Time) (*document, error) {
	set := source.Published(now)
	if set.Len() == 0 {
		return nil, keys.ErrNoKeys
	}
	body, err := set.MarshalJSON()
	if err != nil {
		return nil, err
	}
	body = append(body, '\n')
	sum := sha256.Sum256(body)
	doc := &document{body: body, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:18]) + `"`}
	doc.until, _ = source.NextChange(now)
	return doc, nil
}

// metadata is what the issuer says of itself (RFC 8414 §2).
type metadata struct {
	Issuer        string   `json:"issuer"`
	TokenEndpoint string   `json:"token_endpoint"`
	JWKSURI       string   `json:"jwks_uri"`
	ResponseTypes []string `json:"response_types_supported"`
	GrantTypes    []string `json:"grant_types_supported"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
	AuthAlgs      []string `json:"token_endpoint_auth_signing_alg_values_supported"`
}

func renderMetadata(issuer string) ([]byte, error) {
	m := metadata{
		Issuer:        issuer,
		TokenEndpoint: issuer + tokenPath,
		JWKSURI:       issuer + jwksPath,
		// The member is required although there is no authorization endpoint, and some readers take an empty list for
		// a missing one. "none" is the registered value for an answer without credentials.
		ResponseTypes: []string{"none"},
		GrantTypes:    oauth.GrantTypes(),
		AuthMethods:   oauth.Methods(),
	}
	for _, alg := range keys.Algorithms() {
		m.AuthAlgs = append(m.AuthAlgs, string(alg))
	}
	body, err := json.Marshal(m)
	return append(body, '\n'), err
}

func metadataHandler(body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "public, max-age=3600")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	}
}
