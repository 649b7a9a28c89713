package server

import (
	"errors"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
)

// ClientStatus is what the operator may see of a client.
type ClientStatus struct {
	ID      string         `json:"id"`
	Enabled bool           `json:"enabled"`
	Secrets []SecretStatus `json:"secrets"`
}

// SecretStatus is what the operator may see of a secret.
type SecretStatus struct {
	SHA256  string    `json:"sha256"`  // its first 8 digits, as the audit trail names it
	Expires time.Time `json:"expires"` // zero: never
	LastUse time.Time `json:"last_use"`
}

// ErrNoClient means that no client has that id.
var ErrNoClient = errors.New("unknown client")

// privateHandler is for the operator. It serves the JWK Set too, for the commands that wait until a change is served:
// they find it here whatever the public listener speaks.
func privateHandler(cfg Config, metrics *metrics) http.Handler {
	probes := chi.NewRouter()
	probes.Get("/livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	probes.Get("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := cfg.Ready(); err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
	r := chi.NewRouter()
	r.Method(http.MethodGet, "/metrics", metrics.handler())
	r.Get(jwksPath, jwksHandler(cfg))
	r.Get("/clients", func(w http.ResponseWriter, r *http.Request) {
		status, err := cfg.Client(r.URL.Query().Get("id"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		writeJSON(w, http.StatusOK, status)
	})
	guarded := cfg.Proxies.guard(r)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if probes.Match(chi.NewRouteContext(), r.Method, r.URL.Path) { // probes come from anywhere and learn nothing
			probes.ServeHTTP(w, r)
			return
		}
		guarded.ServeHTTP(w, r)
	})
}
