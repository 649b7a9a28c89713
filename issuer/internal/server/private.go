package server

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
)

// Health is how one part of the issuer is.
type Health struct {
	Part    string
	Trouble error // nil: it is well
	Detail  string
}

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
	r.Get("/readyz", func(w http.ResponseWriter, r *http.Request) { writeHealth(w, r, cfg) })
	guarded := cfg.Proxies.guard(r)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		isVerbose := r.URL.Path == "/readyz" && r.URL.Query().Has("verbose")
		if !isVerbose && probes.Match(chi.NewRouteContext(), r.Method, r.URL.Path) { // they come from anywhere and learn nothing
			probes.ServeHTTP(w, r)
			return
		}
		guarded.ServeHTTP(w, r)
	})
}

// writeHealth answers /readyz?verbose: a line for each part. Its status is that of /readyz.
func writeHealth(w http.ResponseWriter, r *http.Request, cfg Config) {
	var text strings.Builder
	for _, health := range cfg.Health(r.Context()) {
		state, detail := "ok", health.Detail
		if health.Trouble != nil {
			state, detail = "trouble", strings.ReplaceAll(health.Trouble.Error(), "\n", "; ")
		}
		fmt.Fprintf(&text, "%s %s: %s\n", state, health.Part, detail)
	}
	status := http.StatusOK
	if err := cfg.Ready(); err != nil {
		status = http.StatusServiceUnavailable
		fmt.Fprintf(&text, "not ready: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
	} else {
		text.WriteString("ready\n")
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text.String())
}
