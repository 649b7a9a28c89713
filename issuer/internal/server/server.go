package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"example.com/signet/issuer/internal/limit"
	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/keys"
)

// Config is what the handlers need. All fields are required but Certificate, Proxies and Now.
type Config struct {
	Issuer string // the issuer identifier, without a slash at its end
	Token  func(context.Context, oauth.Request) (oauth.Response, oauth.Record, error)
	Ring   func() *keys.Ring // the keys now; the same pointer for as long as they are the same
	MaxAge time.Duration     // how long a verifier may keep the JWK Set

	Addresses *limit.Buckets[netip.Prefix] // how often each address may ask for a token
	InFlight  limit.Slots                  // how many token requests are worked on at once
	Proxies   Proxies

	Ready       func() error                   // why the issuer cannot serve; nil when it can
	Survey      func() []keys.Survey           // where every key is in its life
	Trouble     func() error                   // why the keys cannot be kept as they stand; nil when they can
	Registry    func() RegistryStatus          // what is known of the registry
	Database    func(context.Context) error    // why the database does not answer; nil when it does
	Health      func(context.Context) []Health // how each part is
	Certificate *Certificate                   // of the listeners; nil: they speak plain HTTP
	Version     string                         // of the program

	Log   *slog.Logger
	Audit *slog.Logger     // takes every token issued and refused
	Now   func() time.Time // nil: time.Now
}

// Handlers are the issuer's two faces.
type Handlers struct {
	Public  http.Handler // for everyone
	Private http.Handler // for the operator
}

const tokenPath = "/oauth2/token"

// New returns the handlers, or an error when the issuer identifier is none.
func New(cfg Config) (Handlers, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	issuer, err := url.Parse(cfg.Issuer)
	if err != nil || strings.HasSuffix(issuer.Path, "/") {
		return Handlers{}, fmt.Errorf("server: %q is no issuer identifier", cfg.Issuer)
	}
	metadata, err := renderMetadata(cfg.Issuer)
	if err != nil {
		return Handlers{}, err
	}
	metrics := newMetrics(cfg)
	token := &tokenEndpoint{cfg, metrics}
	return Handlers{
		Public:  publicHandler(cfg, issuer.Path, token, metadataHandler(metadata)),
		Private: privateHandler(cfg, metrics),
	}, nil
}

// publicHandler has its paths below the issuer identifier's path, but for the metadata, whose well-known name goes before
// that path (RFC 8414 §3.1).
func publicHandler(cfg Config, path string, token http.Handler, metadata http.HandlerFunc) http.Handler {
	r := chi.NewRouter()
	r.Use(track(cfg.Log, cfg.Proxies), recoverer(cfg.Log), cfg.Proxies.guard)
	r.Handle(path+tokenPath, token)
	// The router comes here with every method that it has not heard of, even for a handler of all methods.
	r.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == path+tokenPath {
			token.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Allow", "GET, HEAD") // everything else is a document
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	})
	wellKnown(r, path+jwksPath, jwksHandler(cfg))
	wellKnown(r, "/.well-known/oauth-authorization-server"+path, metadata)
	wellKnown(r, path+"/.well-known/openid-configuration", metadata)
	return r
}

// ErrStopping is why an issuer that is told to stop is not ready.
var ErrStopping = errors.New("stopping")
