package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/keys"
)

// Config is what the handlers need. All fields are required but Now.
type Config struct {
	Issuer  string // the issuer identifier, without a slash at its end
	Token   func(context.Context, oauth.Request) (oauth.Response, error)
	Ring    func() *keys.Ring    // the keys now; the same pointer for as long as they are the same
	MaxAge  time.Duration        // how long a verifier may keep the JWK Set
	Ready   func() error         // why the issuer cannot serve; nil when it can
	Survey  func() []keys.Survey // where every key is in its life
	Trouble func() error         // why the keys cannot be kept as they stand; nil when they can
	Log     *slog.Logger
	Now     func() time.Time // nil: time.Now
}

const tokenPath = "/oauth2/token"

// Public returns the handler for everyone. Its paths stand below the issuer identifier's path, but for the metadata,
// whose well-known name goes before that path (RFC 8414 §3.1).
func Public(cfg Config) (http.Handler, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	issuer, err := url.Parse(cfg.Issuer)
	if err != nil || strings.HasSuffix(issuer.Path, "/") {
		return nil, fmt.Errorf("server: %q is no issuer identifier", cfg.Issuer)
	}
	metadata, err := renderMetadata(cfg.Issuer)
	if err != nil {
		return nil, err
	}
	r := chi.NewRouter()
	r.Use(requestID, logRequests(cfg.Log), recoverer(cfg.Log))
	token := tokenHandler(cfg)
	r.Handle(issuer.Path+tokenPath, token)
	// The router comes here with every method that it has not heard of, even for a handler of all methods.
	r.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == issuer.Path+tokenPath {
			token(w, r)
			return
		}
		w.Header().Set("Allow", "GET, HEAD") // everything else is a document
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	})
	wellKnown(r, issuer.Path+jwksPath, jwksHandler(cfg))
	wellKnown(r, "/.well-known/oauth-authorization-server"+issuer.Path, metadataHandler(metadata))
	wellKnown(r, issuer.Path+"/.well-known/openid-configuration", metadataHandler(metadata))
	return r, nil
}

// Private returns the handler for the operator's listener.
func Private(cfg Config) http.Handler {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	r := chi.NewRouter()
	r.Method(http.MethodGet, "/metrics", metricsHandler(cfg))
	r.Get("/livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	r.Get("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := cfg.Ready(); err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
	return r
}

// ErrStopping is why an issuer that is told to stop is not ready.
var ErrStopping = errors.New("stopping")
