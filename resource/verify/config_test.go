package verify_test

import (
	"errors"
	"math"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
	"example.com/signet/keys/remote"
	"example.com/signet/resource/verify"
)

// refusedConfig is a config with one thing wrong, and the whole error.
type refusedConfig struct {
	name string
	cfg  verify.Config
	want string
}

// fetchWith is a config that is good but for how it fetches.
func fetchWith(f verify.Fetch) verify.Config {
	return verify.Config{Issuer: bubbleIssuer, Audience: audience, Fetch: f}
}

// issuersWith is a config that is good but for its issuers.
func issuersWith(issuers ...verify.Issuer) verify.Config {
	return verify.Config{Issuers: issuers, Audience: audience}
}

func refusedConfigs() []refusedConfig {
	return []refusedConfig{
		{"nothing", verify.Config{}, "verify: no issuer"},
		{"no issuer", verify.Config{Audience: audience}, "verify: no issuer"},
		{"no issuers", verify.Config{Issuers: []verify.Issuer{}, Audience: audience}, "verify: no issuer"},
		{"no audience", verify.Config{Issuer: bubbleIssuer}, "verify: no audience"},
		{"leeway above 5 min", verify.Config{Issuer: bubbleIssuer, Audience: audience, Leeway: 5*time.Minute + 1},
			"verify: leeway 5m0.000000001s is above 5m0s"},
	}
}

func refusedFetches() []refusedConfig {
	const negative, limit = "verify: a negative duration", "verify: a negative limit of JWK Sets"
	const parts = "verify: refresh at and jitter are parts of 1"
	return []refusedConfig{
		{"negative timeout", fetchWith(verify.Fetch{Timeout: -1}), negative},
		{"negative min refresh", fetchWith(verify.Fetch{MinRefresh: -1}), negative},
		{"negative max refresh", fetchWith(verify.Fetch{MaxRefresh: -1}), negative},
		{"negative cool-down", fetchWith(verify.Fetch{Cooldown: -1}), negative},
		{"negative wait", fetchWith(verify.Fetch{Wait: -1}), negative},
		{"negative max stale", fetchWith(verify.Fetch{MaxStale: -1}), negative},
		{"negative max size", fetchWith(verify.Fetch{MaxSize: -1}), limit},
		{"negative max keys", fetchWith(verify.Fetch{MaxKeys: -1}), limit},
		{"refresh at a negative part", fetchWith(verify.Fetch{RefreshAt: -0.1}), parts},
		{"refresh at more than all", fetchWith(verify.Fetch{RefreshAt: math.Nextafter(1, 2)}), parts},
		{"refresh at NaN", fetchWith(verify.Fetch{RefreshAt: math.NaN()}), parts},
		{"refresh at infinity", fetchWith(verify.Fetch{RefreshAt: math.Inf(1)}), parts},
		{"jitter 1", fetchWith(verify.Fetch{Jitter: 1}), parts},
		{"jitter NaN", fetchWith(verify.Fetch{Jitter: math.NaN()}), parts},
		{"jitter infinity", fetchWith(verify.Fetch{Jitter: math.Inf(1)}), parts},
		{"max refresh below min refresh", fetchWith(verify.Fetch{MinRefresh: time.Minute, MaxRefresh: time.Minute - 1}),
			"verify: max refresh 59.999999999s is below min refresh 1m0s"},
		{"max refresh below the default min refresh", fetchWith(verify.Fetch{MaxRefresh: time.Second}),
			"verify: max refresh 1s is below min refresh 1m0s"},
		{"max stale that the refresh cannot keep", fetchWith(verify.Fetch{MaxStale: 2*time.Minute - 1}),
			"verify: max stale 1m59.999999999s is below 2m0s"},
	}
}

func refusedIssuers() []refusedConfig {
	const a, notAllowed = issuerA, "verify: issuer: URL not allowed: "
	twoPlaces := `verify: issuer "` + a + `" has its keys in more than one place`
	set, url, file := keystest.Set(keystest.ES256), a+"/jwks", "jwks.json"
	return []refusedConfig{
		{"one twice", issuersWith(verify.Issuer{ID: a}, verify.Issuer{ID: issuerB}, verify.Issuer{ID: a}),
			`verify: issuer "` + a + `" twice`},
		{"one twice, with keys in different places", issuersWith(verify.Issuer{ID: a, JWKS: set},
			verify.Issuer{ID: a, JWKSURL: url}), `verify: issuer "` + a + `" twice`},
		{"one twice, in both fields", verify.Config{Issuer: a, Issuers: []verify.Issuer{{ID: a}}, Audience: audience},
			`verify: issuer "` + a + `" twice`},
		{"URL and file", issuersWith(verify.Issuer{ID: a, JWKSURL: url, JWKSFile: file}), twoPlaces},
		{"URL and value", issuersWith(verify.Issuer{ID: a, JWKSURL: url, JWKS: set}), twoPlaces},
		{"file and value", issuersWith(verify.Issuer{ID: a, JWKSFile: file, JWKS: set}), twoPlaces},
		{"all three", issuersWith(verify.Issuer{ID: a, JWKSURL: url, JWKSFile: file, JWKS: set}), twoPlaces},
		{"an empty set", issuersWith(verify.Issuer{ID: a, JWKS: keystest.Set()}),
			`verify: issuer "` + a + `": no keys`},
		{"a zero set", issuersWith(verify.Issuer{ID: a, JWKS: new(keys.Set)}), `verify: issuer "` + a + `": no keys`},
		{"no ID", issuersWith(verify.Issuer{JWKSURL: url}), notAllowed + `"" is not absolute`},
		{"no ID, but a set", issuersWith(verify.Issuer{JWKS: set}), notAllowed + `"" is not absolute`},
		{"the second is bad", issuersWith(verify.Issuer{ID: a}, verify.Issuer{ID: "b"}), notAllowed + `"b" is not absolute`},
		{"plain http", issuersWith(verify.Issuer{ID: "http://issuer.example.com"}),
			notAllowed + `"http://issuer.example.com" is neither https nor loopback`},
		{"plain http, but a set", issuersWith(verify.Issuer{ID: "http://issuer.example.com", JWKS: set}),
			notAllowed + `"http://issuer.example.com" is neither https nor loopback`},
		{"a query", issuersWith(verify.Issuer{ID: bubbleIssuer + "?a"}),
			notAllowed + `"https://issuer.example.com?a" is no issuer identifier: it has a query or fragment`},
		{"a fragment", issuersWith(verify.Issuer{ID: bubbleIssuer + "#"}), notAllowed + "it has a user or fragment"},
		{"a user", issuersWith(verify.Issuer{ID: "https://me:secret@issuer.example.com"}),
			notAllowed + "it has a user or fragment"},
		{"not a URL", issuersWith(verify.Issuer{ID: "https://me:secret@issuer.example.com:x"}), notAllowed + "not a URL"},
		{"JWK Set by plain http", issuersWith(verify.Issuer{ID: a, JWKSURL: "http://a.example.com/jwks"}),
			`verify: JWK Set: URL not allowed: "http://a.example.com/jwks" is neither https nor loopback`},
		{"JWK Set by file URL", issuersWith(verify.Issuer{ID: a, JWKSURL: "file:///etc/jwks"}),
			`verify: JWK Set: URL not allowed: "file:///etc/jwks" is not absolute`},
		{"JWK Set with a user", issuersWith(verify.Issuer{ID: a, JWKSURL: "https://me:secret@a.example.com/jwks"}),
			"verify: JWK Set: URL not allowed: it has a user or fragment"},
	}
}

// Not parallel: it looks at all goroutines.
func TestNewRefuses(t *testing.T) {
	before := goleak.IgnoreCurrent()
	rows := append(refusedConfigs(), refusedFetches()...)
	for _, row := range append(rows, refusedIssuers()...) {
		v, err := verify.New(row.cfg)
		if v != nil || err == nil || err.Error() != row.want {
			t.Errorf("%s: %v, want %s", row.name, err, row.want)
		}
	}
	for _, row := range []struct {
		issuer verify.Issuer
		want   error
	}{
		{verify.Issuer{ID: "http://a.example.com"}, remote.ErrURL},
		{verify.Issuer{ID: issuerA, JWKSURL: "http://a.example.com"}, remote.ErrURL},
		{verify.Issuer{ID: issuerA, JWKS: new(keys.Set)}, keys.ErrNoKeys},
		{verify.Issuer{ID: issuerA, JWKSFile: "testdata/none"}, os.ErrNotExist},
	} {
		if _, err := verify.New(issuersWith(row.issuer)); !errors.Is(err, row.want) {
			t.Errorf("%v is no %v", err, row.want)
		}
	}
	goleak.VerifyNone(t, before)
}

// What is at the edge of what is refused is taken. The keys are given, so that nothing is fetched.
func TestNewAccepts(t *testing.T) {
	t.Parallel()
	set := keystest.Set(keystest.ES256)
	for name, cfg := range map[string]verify.Config{
		"leeway of 5 min":             {Leeway: 5 * time.Minute},
		"no leeway":                   {Leeway: -1},
		"no cache":                    {CacheSize: -1},
		"no room in the cache":        {CacheSize: 1},
		"a cache of the largest size": {CacheSize: math.MaxInt},
		"refresh at all":              {Fetch: verify.Fetch{RefreshAt: 1}},
		"nearly all jitter":           {Fetch: verify.Fetch{Jitter: math.Nextafter(1, 0)}},
		"no jitter":                   {Fetch: verify.Fetch{Jitter: -1}},
		"no jitter at all":            {Fetch: verify.Fetch{Jitter: math.Inf(-1)}},
		"one moment to refresh":       {Fetch: verify.Fetch{MinRefresh: time.Hour, MaxRefresh: time.Hour}},
		"stale soon":                  {Fetch: verify.Fetch{MinRefresh: time.Second, MaxStale: 2 * time.Second}},
	} {
		cfg.Issuers = []verify.Issuer{{ID: bubbleIssuer, JWKS: set}}
		v := newVerifier(t, cfg)
		for range 3 {
			check(t, v, bubbleToken(keystest.ES256), nil)
		}
		t.Log(name)
	}
	both := newVerifier(t, verify.Config{Issuer: "http://127.0.0.1:1", Issuers: []verify.Issuer{{ID: issuerA, JWKS: set}}})
	check(t, both, issued(issuerA, keystest.ES256), nil) // Issuer is one more, not instead
	check(t, both, issued("http://127.0.0.1:1/", keystest.ES256), verify.ErrIssuer)
}
