package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/issuer/internal/server"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

const jwks = "/.well-known/jwks.json"

// checkHeaders compares the headers that want names; "" wants none.
func checkHeaders(t *testing.T, a answer, status int, want map[string]string) {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("status %d, want %d", a.StatusCode, status)
	}
	for name, value := range want {
		if got := a.Header.Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
}

// kids are the kids of a JWK Set document in their order.
func kids(t *testing.T, document string) []string {
	t.Helper()
	set, skipped, err := keys.ParseSet([]byte(document))
	if err != nil || len(skipped) > 0 {
		t.Fatalf("set %q: %v, %v", document, err, skipped)
	}
	var ids []string
	for key := range set.All() {
		ids = append(ids, key.ID())
	}
	return ids
}

func TestJWKS(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := s.get(t, jwks)
	etag := first.Header.Get("ETag")
	headers := map[string]string{
		"Content-Type": "application/jwk-set+json", "Cache-Control": "public, max-age=300",
		"Access-Control-Allow-Origin": "*", "ETag": etag,
	}
	t.Run("I39 headers", func(t *testing.T) {
		checkHeaders(t, first, 200, headers)
		if len(etag) < 20 || etag[0] != '"' { // strong: no W/
			t.Errorf("ETag %s", etag)
		}
	})
	t.Run("I36 I37 only public members", func(t *testing.T) {
		var set struct{ Keys []map[string]any }
		if err := json.Unmarshal([]byte(first.body), &set); err != nil {
			t.Fatal(err)
		}
		if len(set.Keys) != 3 {
			t.Errorf("%d keys", len(set.Keys))
		}
		allowed := map[string]bool{"kty": true, "use": true, "alg": true, "kid": true, "crv": true, "x": true, "y": true, "n": true, "e": true}
		for _, key := range set.Keys {
			for member := range key {
				if !allowed[member] {
					t.Errorf("member %q", member)
				}
			}
			if key["use"] != "sig" || key["alg"] == nil {
				t.Errorf("key %v", key)
			}
		}
	})
	t.Run("I39 the keys that sign come first", func(t *testing.T) {
		want := []string{keystest.Key(keystest.ES256).ID(), keystest.Key(keystest.RS256).ID(), keystest.Key(keystest.ES256Other).ID()}
		if diff := cmp.Diff(want, kids(t, first.body)); diff != "" {
			t.Errorf("kids (-want +got):\n%s", diff)
		}
	})
	for _, match := range []string{etag, `"other", ` + etag, "W/" + etag, "*"} {
		t.Run("I39 304 for "+match, func(t *testing.T) {
			a := s.get(t, jwks, "If-None-Match", match)
			checkHeaders(t, a, 304, map[string]string{"ETag": etag, "Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"})
			if a.body != "" {
				t.Errorf("body %q", a.body)
			}
		})
	}
	for _, match := range []string{`"other"`, strings.Trim(etag, `"`), ""} {
		t.Run("I39 200 for "+match, func(t *testing.T) {
			checkHeaders(t, s.get(t, jwks, "If-None-Match", match), 200, headers)
		})
	}
	t.Run("I39 HEAD", func(t *testing.T) {
		a := s.do(t, s.request(t, http.MethodHead, jwks, ""))
		checkHeaders(t, a, 200, headers)
		if a.body != "" || a.ContentLength != int64(len(first.body)) {
			t.Errorf("body %q, length %d", a.body, a.ContentLength)
		}
	})
	t.Run("POST", func(t *testing.T) {
		if a := s.do(t, s.request(t, http.MethodPost, jwks, "")); a.StatusCode != 405 || a.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("status %d, Allow %q", a.StatusCode, a.Header.Values("Allow"))
		}
	})
}

func TestJWKSIsRenderedAgain(t *testing.T) {
	t.Parallel()
	var ring atomic.Pointer[keys.Ring]
	s := newSite(t, func(c *server.Config) {
		ring.Store(c.Ring())
		c.Ring = ring.Load
	})
	before := s.get(t, jwks)
	s.clock.Advance(time.Hour - time.Nanosecond)
	if a := s.get(t, jwks); a.body != before.body {
		t.Error("rendered another way before another key signs")
	}
	s.clock.Advance(time.Nanosecond) // now the other ES256 key signs
	after := s.get(t, jwks, "If-None-Match", before.Header.Get("ETag"))
	checkHeaders(t, after, 200, nil)
	want := []string{keystest.Key(keystest.ES256Other).ID(), keystest.Key(keystest.RS256).ID(), keystest.Key(keystest.ES256).ID()}
	if diff := cmp.Diff(want, kids(t, after.body)); diff != "" {
		t.Errorf("kids (-want +got):\n%s", diff)
	}
	s.clock.Advance(1000 * time.Hour)
	if a := s.get(t, jwks); a.Header.Get("ETag") != after.Header.Get("ETag") {
		t.Error("rendered another way long after")
	}
	one, err := keys.NewRing(keys.RingKey{Key: keystest.Key(keystest.RS256Other), SignsFrom: s.clock.Now()})
	if err != nil {
		t.Fatal(err)
	}
	ring.Store(one)
	if diff := cmp.Diff([]string{keystest.Key(keystest.RS256Other).ID()}, kids(t, s.get(t, jwks).body)); diff != "" {
		t.Errorf("after the ring was replaced, kids (-want +got):\n%s", diff)
	}
}

func TestJWKSEmpty(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *server.Config) { c.Ring = func() *keys.Ring { return nil } })
	a := s.get(t, jwks)
	checkHeaders(t, a, 503, map[string]string{"Retry-After": "5", "Cache-Control": "", "ETag": ""}) // I40
	if a.body != "no keys now\n" {
		t.Errorf("body %q", a.body)
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, issuer string
		paths        []string
		token, keys  string
	}{
		{"I41 I42 issuer without path", issuer,
			[]string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"}, "/oauth2/token", jwks},
		{"I41 I42 issuer with a path", issuer + "/tenant/one",
			[]string{"/.well-known/oauth-authorization-server/tenant/one", "/tenant/one/.well-known/openid-configuration"},
			"/tenant/one/oauth2/token", "/tenant/one" + jwks},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(c *server.Config) { c.Issuer = row.issuer })
			want := map[string]any{
				"issuer":                                row.issuer,
				"token_endpoint":                        issuer + row.token,
				"jwks_uri":                              issuer + row.keys,
				"response_types_supported":              []any{"none"},
				"grant_types_supported":                 []any{"client_credentials"},
				"token_endpoint_auth_methods_supported": []any{"private_key_jwt", "client_secret_basic", "client_secret_post"},
				"token_endpoint_auth_signing_alg_values_supported": []any{"ES256", "RS256"},
			}
			for _, path := range row.paths {
				a := s.get(t, path)
				checkHeaders(t, a, 200, map[string]string{"Content-Type": "application/json", "Access-Control-Allow-Origin": "*"})
				var got map[string]any
				if err := json.Unmarshal([]byte(a.body), &got); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("I43 I44 %s (-want +got):\n%s", path, diff)
				}
			}
			if a := s.get(t, row.keys); a.StatusCode != 200 {
				t.Errorf("jwks_uri: status %d", a.StatusCode)
			}
			if a := s.get(t, row.token); a.StatusCode != 405 {
				t.Errorf("token_endpoint: status %d", a.StatusCode)
			}
		})
	}
}

func TestPublicRefusesIssuer(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{issuer + "/", issuer + "/tenant/", "https://%zz"} {
		if _, err := server.New(server.Config{Issuer: bad}); err == nil {
			t.Errorf("issuer %q accepted", bad)
		}
	}
}
