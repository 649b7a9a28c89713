package main

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// Neither the token nor the query, where a careless client may have put one, gets into the log.
func TestLogHoldsNoToken(t *testing.T) {
	t.Parallel()
	issuer := keystest.NewServer(keystest.Set(keystest.ES256))
	t.Cleanup(issuer.Close)
	verifier, err := verify.New(verify.Config{Issuer: issuer.Issuer(), Audience: keystest.Audience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(verifier.Close)
	var log bytes.Buffer
	routes := demonstration(verifier, slog.New(slog.NewTextHandler(&log, nil))).publicRoutes()
	token := keystest.AccessToken(keystest.ES256, keystest.AccessClaims(issuer.Issuer(), keystest.Audience, time.Now()))
	for _, request := range []func(r *http.Request){
		func(r *http.Request) { r.Header.Set("Token", token) },
		func(r *http.Request) { r.Header.Set("Token", token+"x") },
		func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token+" "+token) },
		func(r *http.Request) { r.Header.Set("Authorization", "Basic "+token) },
		func(r *http.Request) { r.URL.RawQuery = "access_token=" + token },
		func(r *http.Request) { r.Header.Set("X-Request-Id", token) },
	} {
		r := httptest.NewRequest(http.MethodGet, "/whoami", nil)
		request(r)
		w := httptest.NewRecorder()
		routes.ServeHTTP(w, r)
		if id := w.Header().Get("X-Request-Id"); id == "" || !strings.Contains(log.String(), "request_id="+id) {
			t.Errorf("request id %q is not in the log", id)
		}
	}
	for segment := range strings.SplitSeq(token, ".") {
		if strings.Contains(log.String(), segment[:8]) {
			t.Errorf("%q is in the log:\n%s", segment[:8], log.String())
		}
	}
}

// Every route is behind the guard, those that do not exist too: a stranger learns nothing about the API.
func TestEveryRouteIsGuarded(t *testing.T) {
	t.Parallel()
	verifier, err := verify.New(verify.Config{Issuer: "http://127.0.0.1:1", Audience: keystest.Audience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(verifier.Close)
	routes := demonstration(verifier, slog.New(slog.DiscardHandler)).publicRoutes()
	for _, path := range []string{"/", "/whoami", "/admin", "/nothing", "/whoami/", "//whoami", "/../admin", "/readyz",
		"/debug/pprof/"} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions, "PROPFIND"} {
			w := httptest.NewRecorder()
			routes.ServeHTTP(w, httptest.NewRequest(method, path, nil))
			if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
		}
	}
}

func demonstration(verifier *verify.Verifier, log *slog.Logger) site {
	return site{verifier: verifier, metrics: newMetrics(nil), log: log}
}

func TestPrivateRoutes(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, path string
		ready      error
		want       int
	}{
		{"alive", "/livez", nil, 200},
		{"alive when not ready", "/livez", errStopping, 200},
		{"ready", "/readyz", nil, 200},
		{"not ready", "/readyz", errors.New("x"), 503},
		{"metrics", "/metrics", nil, 200},
		{"nothing else", "/metrics/x", nil, 404},
		{"not the API", "/", nil, 404},
	} {
		w := httptest.NewRecorder()
		routes := privateRoutes(func() error { return row.ready }, newMetrics(nil).handler())
		routes.ServeHTTP(w, httptest.NewRequest(http.MethodGet, row.path, nil))
		if w.Code != row.want {
			t.Errorf("%s: %d", row.name, w.Code)
		}
	}
}
