package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/signet/issuer/internal/server"
)

// A line for each part, in order, and then whether the issuer is ready: with the status of the plain probe, whatever the
// parts are like.
func TestHealth(t *testing.T) {
	t.Parallel()
	away := errors.New("connection refused")
	many := errors.Join(errors.New("a key would sign early"), errors.New("damaged key"))
	well := []server.Health{{"keys", nil, "ES256 signs"}, {"database", nil, "sqlite:/var/lib/signet.db"}}
	rows := []struct {
		name   string
		ready  error
		health []server.Health
		status int
		body   string
	}{
		{"well", nil, well, 200, "ok keys: ES256 signs\nok database: sqlite:/var/lib/signet.db\nready\n"},
		{"a part in trouble", nil, []server.Health{{"keys", nil, "ES256 signs"}, {"database", away, "postgres://db/signet"}},
			200, "ok keys: ES256 signs\ntrouble database: connection refused\nready\n"},
		{"all in trouble, and ready", nil, []server.Health{{"keys", many, ""}, {"database", away, ""}},
			200, "trouble keys: a key would sign early; damaged key\ntrouble database: connection refused\nready\n"},
		{"not ready", server.ErrStopping, well, 503,
			"ok keys: ES256 signs\nok database: sqlite:/var/lib/signet.db\nnot ready: stopping\n"},
		{"not ready, for several reasons", many, nil, 503, "not ready: a key would sign early; damaged key\n"},
		{"a line that looks like another", nil, []server.Health{{"registry", errors.New("line 3\nok registry: all well"), ""}},
			200, "trouble registry: line 3; ok registry: all well\nready\n"},
		{"no parts", nil, nil, 200, "ready\n"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			d := newDirect(t, func(c *server.Config) {
				c.Ready = func() error { return row.ready }
				c.Health = func(context.Context) []server.Health { return row.health }
			})
			w := serve(d.Private, "127.0.0.1:1", "GET", "/readyz?verbose", "")
			if w.Code != row.status || w.Body.String() != row.body {
				t.Errorf("status %d, body %q\nwant %d, %q", w.Code, w.Body, row.status, row.body)
			}
			if got := w.Header().Get("Content-Type"); got != "text/plain; charset=utf-8" {
				t.Errorf("Content-Type %q", got)
			}
			if plain := serve(d.Private, "127.0.0.1:1", "GET", "/readyz", ""); plain.Code != row.status {
				t.Errorf("the plain probe: status %d", plain.Code)
			}
		})
	}
}

// The parts are asked in the name of whoever asks, who may go away.
func TestHealthHasTheContextOfItsRequest(t *testing.T) {
	t.Parallel()
	type name struct{}
	d := newDirect(t, func(c *server.Config) {
		c.Health = func(ctx context.Context) []server.Health {
			return []server.Health{{"context", nil, fmt.Sprint(ctx.Value(name{}))}}
		}
	})
	with := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.Private.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), name{}, "caller")))
	})
	if got := serve(with, "127.0.0.1:1", "GET", "/readyz?verbose", "").Body.String(); got != "ok context: caller\nready\n" {
		t.Errorf("body %q", got)
	}
}

// Probes come from anywhere and learn nothing. What says more is for this machine and the proxies, as the metrics are,
// however it is asked for.
func TestHealthIsGuarded(t *testing.T) {
	t.Parallel()
	asked := 0
	only := func(c *server.Config) {
		c.Proxies = server.Proxies{Trusted: networks("10.0.0.0/8"), Header: "X-Forwarded-For", Only: true}
		c.Ready = func() error { return errors.New("no key signs") }
		c.Health = func(context.Context) []server.Health {
			asked++
			return []server.Health{{"database", errors.New("secret-host refuses"), ""}}
		}
	}
	d := newDirect(t, only)
	const stranger = "198.51.100.9:1"
	forged := []string{"X-Forwarded-For", "10.1.2.3", "X-Real-Ip", "127.0.0.1", "Forwarded", "for=127.0.0.1"}
	for _, path := range []string{"/readyz?verbose", "/readyz?verbose=1", "/readyz?x&verbose", "/readyz/?verbose",
		"//readyz?verbose", "/%72eadyz?verbose", "/metrics", "/metrics?verbose", "/.well-known/jwks.json"} {
		for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "BREW"} {
			w := serve(d.Private, stranger, method, path, "", forged...)
			if w.Code != 403 || w.Body.String() != "plain HTTP is for the proxy only\n" {
				t.Errorf("%s %s: status %d, body %q", method, path, w.Code, w.Body)
			}
		}
	}
	if asked != 0 {
		t.Errorf("the parts were asked %d times for a stranger", asked)
	}
	for _, path := range []string{"/readyz", "/readyz?x", "/readyz?%"} {
		plain := serve(d.Private, stranger, "GET", path, "", forged...)
		if plain.Code != 503 || plain.Body.String() != "not ready: no key signs\n" {
			t.Errorf("%s, the plain probe: status %d, body %q", path, plain.Code, plain.Body)
		}
	}
	if live := serve(d.Private, stranger, "GET", "/livez?verbose", "", forged...); live.Code != 200 || live.Body.String() != "ok\n" {
		t.Errorf("/livez with a query: status %d, body %q", live.Code, live.Body)
	}
	for _, from := range []string{"127.0.0.1:1", "[::1]:1", "10.1.2.3:1"} {
		w := serve(d.Private, from, "GET", "/readyz?verbose", "")
		if w.Code != 503 || w.Body.String() != "trouble database: secret-host refuses\nnot ready: no key signs\n" {
			t.Errorf("from %s: status %d, body %q", from, w.Code, w.Body)
		}
	}
	if w := serve(d.Public, "127.0.0.1:1", "GET", "/readyz?verbose", ""); w.Code != 404 {
		t.Errorf("on the public listener: status %d", w.Code)
	}
}

// The database's trouble is in a metric, and a database that does not answer holds up no scrape for long.
func TestDatabaseTrouble(t *testing.T) {
	t.Parallel()
	var trouble error
	var deadline time.Duration
	d := newDirect(t, func(c *server.Config) {
		c.Database = func(ctx context.Context) error {
			if at, ok := ctx.Deadline(); ok {
				deadline = time.Until(at)
			}
			return trouble
		}
	})
	for _, row := range []struct {
		trouble error
		want    float64
	}{{nil, 0}, {errors.New("connection refused"), 1}, {nil, 0}} { // in order: they share the trouble
		trouble, deadline = row.trouble, 0
		if got, there := d.scrape(t)["signet_database_trouble"]; !there || got != row.want {
			t.Errorf("%v: %v, want %v", row.trouble, got, row.want)
		}
		if deadline <= 0 || deadline > time.Second {
			t.Errorf("a scrape waits for %v", deadline)
		}
	}
	trouble = errors.New("the-password")
	if text := serve(d.Private, "127.0.0.1:1", "GET", "/metrics", "").Body.String(); strings.Contains(text, "the-password") {
		t.Error("the cause is in the metrics")
	}
}
