package server

import (
	"bytes"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-json-experiment/json"

	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/keys"
)

// wellKnown routes GET and HEAD of a public document. Scripts of any origin may read it: nothing in it is secret.
func wellKnown(r chi.Router, path string, handler http.HandlerFunc) {
	open := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		handler(w, r)
	}
	r.Get(path, open)
	r.Head(path, open)
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
