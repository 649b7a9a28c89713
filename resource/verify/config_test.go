package verify_test

import (
	"errors"
	"testing"
	"time"

	"example.com/signet/keys/remote"
	"example.com/signet/resource/verify"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		cfg  verify.Config
		want string
	}{
		{"nothing", verify.Config{}, "verify: no issuer"},
		{"no issuer", verify.Config{Audience: audience}, "verify: no issuer"},
		{"no audience", verify.Config{Issuer: bubbleIssuer}, "verify: no audience"},
		{"leeway above 5 min", verify.Config{Leeway: 5*time.Minute + 1}, "verify: leeway 5m0.000000001s is above 5m0s"},
		{"negative max stale", verify.Config{Fetch: verify.Fetch{MaxStale: -1}}, "verify: a negative duration"},
		{"negative cool-down", verify.Config{Fetch: verify.Fetch{Cooldown: -1}}, "verify: a negative duration"},
		{"max stale that the refresh cannot keep", verify.Config{Fetch: verify.Fetch{MaxStale: 2*time.Minute - 1}},
			"verify: max stale 1m59.999999999s is below 2m0s"},
		{"issuer plain http", verify.Config{Issuer: "http://issuer.example.com"},
			`verify: issuer: URL not allowed: "http://issuer.example.com" is neither https nor loopback`},
		{"issuer no URL", verify.Config{Issuer: "issuer"}, `verify: issuer: URL not allowed: "issuer" is not absolute`},
		{"issuer with a query", verify.Config{Issuer: bubbleIssuer + "?a"},
			`verify: issuer: URL not allowed: "https://issuer.example.com?a" is no issuer identifier: it has a query or fragment`},
		{"issuer with a user", verify.Config{Issuer: "https://me:secret@issuer.example.com"},
			"verify: issuer: URL not allowed: it has a user or fragment"},
		{"JWK Set plain http", verify.Config{Issuers: []verify.Issuer{{ID: "https://issuer.example.com", JWKSURL: "http://issuer.example.com/jwks"}}},
			`verify: JWK Set: URL not allowed: "http://issuer.example.com/jwks" is neither https nor loopback`},
		{"JWK Set a file", verify.Config{Issuers: []verify.Issuer{{ID: "https://issuer.example.com", JWKSURL: "file:///etc/jwks"}}}, `verify: JWK Set: URL not allowed: "file:///etc/jwks" is not absolute`},
	}
	for _, row := range rows {
		if row.want != "verify: no issuer" && row.cfg.Issuer == "" && row.cfg.Issuers == nil {
			row.cfg.Issuer = bubbleIssuer
		}
		if row.want != "verify: no audience" {
			row.cfg.Audience = audience
		}
		v, err := verify.New(row.cfg)
		if v != nil || err == nil || err.Error() != row.want {
			t.Errorf("%s: %v, want %s", row.name, err, row.want)
		}
	}
	if _, err := verify.New(verify.Config{Issuer: "http://a.example.com", Audience: audience}); !errors.Is(err, remote.ErrURL) {
		t.Errorf("%v is no ErrURL", err)
	}
}
