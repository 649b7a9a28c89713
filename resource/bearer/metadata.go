package bearer

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// MetadataPath is the well-known place of protected resource metadata (RFC 9728 §3), before the path of the resource.
const MetadataPath = "/.well-known/oauth-protected-resource"

// MetadataConfig is what [NewMetadata] publishes.
type MetadataConfig struct {
	Resource             string   // the identifier of the resource: the aud of its tokens; required
	AuthorizationServers []string // the issuers whose tokens are accepted
	Scopes               []string // the scope values that tokens can have here; may be empty
	Name                 string   // of the resource, for people; may be empty
}

// Metadata are a protected resource's metadata (RFC 9728): where a client that was refused finds out whom to ask for a
// token. They are an http.Handler for [Metadata.Path], which is to be reached without a token:
//
//	guard := bearer.Guard{Verifier: verifier, Metadata: metadata}
//	r.Handle(metadata.Path(), metadata)
//	r.With(guard.IsAuthorized).Get("/orders", …)
//
// They never change and are safe for concurrent use.
type Metadata struct {
	url      string
	path     string
	document []byte
}

// NewMetadata returns the metadata of a resource whose identifier is an https URL, or http, without user and fragment
// (RFC 9728 §1.2), of characters that need no escape in a URL, in a challenge or in a router's pattern: letters, digits
// and -._~:/?[]@!$&'()+,;=. http is for development, and for callers behind one's own proxy.
func NewMetadata(cfg MetadataConfig) (*Metadata, error) {
	u, err := url.Parse(cfg.Resource)
	switch {
	case err != nil || strings.ContainsFunc(cfg.Resource, needsEscape) || u.User != nil: // it may have a password in it
		return nil, errors.New("bearer: the resource is not a URL of plain characters without user and fragment")
	case (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "":
		return nil, fmt.Errorf("bearer: the resource %.200q is not an http URL", cfg.Resource)
	}
	document, err := json.Marshal(struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers,omitempty"`
		Scopes   []string `json:"scopes_supported,omitempty"`
		Methods  []string `json:"bearer_methods_supported"`
		Name     string   `json:"resource_name,omitempty"`
	}{cfg.Resource, cfg.AuthorizationServers, cfg.Scopes, []string{"header"}, cfg.Name})
	if err != nil {
		return nil, fmt.Errorf("bearer: encoding metadata: %w", err)
	}
	path := MetadataPath
	if u.EscapedPath() != "/" { // RFC 9728 §3.1
		path += u.EscapedPath()
	}
	place := u.Scheme + "://" + u.Host + path
	if u.RawQuery != "" {
		place += "?" + u.RawQuery
	}
	return &Metadata{url: place, path: path, document: append(document, '\n')}, nil
}

func needsEscape(r rune) bool {
	isAlphanumeric := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	return !isAlphanumeric && !strings.ContainsRune("-._~:/?[]@!$&'()+,;=", r)
}

// URL returns where the metadata are, as the challenge names it.
func (m *Metadata) URL() string { return m.url }

// Path returns the path of URL, for a router.
func (m *Metadata) Path() string { return m.path }

// ServeHTTP answers GET and HEAD with the document. Any web page may read it.
func (m *Metadata) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	_, _ = w.Write(m.document)
}
