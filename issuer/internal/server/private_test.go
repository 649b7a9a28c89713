package server_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"example.com/signet/issuer/internal/server"
	"example.com/signet/keys/keystest"
)

func TestPrivate(t *testing.T) {
	t.Parallel()
	var notReady error
	s := &site{clock: keystest.NewClock(), log: &buffer{}}
	cfg := s.config(t)
	cfg.Ready = func() error { return notReady }
	handlers, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	private := httptest.NewServer(handlers.Private)
	t.Cleanup(private.Close)
	rows := []struct {
		name, path string
		notReady   error
		status     int
		body       string
	}{
		{"alive", "/livez", nil, 200, "ok\n"},
		{"alive though not ready", "/livez", server.ErrStopping, 200, "ok\n"},
		{"ready", "/readyz", nil, 200, "ok\n"},
		{"stopping", "/readyz", server.ErrStopping, 503, "not ready: stopping\n"},
		{"no keys", "/readyz", errors.New("no key signs"), 503, "not ready: no key signs\n"},
		{"nobody's secrets", "/clients?id=billing", nil, 404, "404 page not found\n"},
		{"nor the token endpoint", "/oauth2/token", nil, 404, "404 page not found\n"},
	}
	for _, row := range rows { // in order: they share notReady
		t.Run(row.name, func(t *testing.T) {
			notReady = row.notReady
			response, err := http.Get(private.URL + row.path)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != row.status || string(body) != row.body {
				t.Errorf("status %d, body %q, %v", response.StatusCode, body, err)
			}
		})
	}
	public := newSite(t)
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		if a := public.get(t, path); a.StatusCode != 404 {
			t.Errorf("%s on the public listener: status %d", path, a.StatusCode)
		}
	}
}
