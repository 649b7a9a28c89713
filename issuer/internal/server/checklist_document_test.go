package server_test

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/server"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// members are a JWK's.
type members map[string]any

// published is the document that an issuer with these signing keys serves, and the keys in it.
func (c *checklist) published(t *testing.T, signing ...*keys.PrivateKey) (string, []members) {
	t.Helper()
	e := c.edge(t, func(cfg *server.Config) {
		if len(signing) == 0 {
			return
		}
		var ring []keys.RingKey
		for i, key := range signing {
			ring = append(ring, keys.RingKey{Key: key, SignsFrom: cfg.Now().Add(time.Duration(i-10) * time.Hour)})
		}
		made, err := keys.NewRing(ring...)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Ring = func() *keys.Ring { return made }
	})
	a := e.get(t, jwks)
	var set struct {
		Keys []members `json:"keys"`
	}
	if err := json.Unmarshal([]byte(a.body), &set); err != nil || a.StatusCode != 200 {
		t.Fatalf("status %d, body %q: %v", a.StatusCode, a.body, err)
	}
	return a.body, set.Keys
}

func (c *checklist) noPrivateMembers(t *testing.T) {
	document, set := c.published(t)
	if len(set) != 3 {
		t.Fatalf("%d keys", len(set))
	}
	public := []string{"kty", "use", "alg", "kid", "crv", "x", "y", "n", "e"}
	for _, key := range set {
		for name := range key {
			if !slices.Contains(public, name) { // not d p q dp dq qi k oth, not x5c, and none that nobody thought of
				t.Errorf("member %q", name)
			}
		}
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "k", "oth"} {
		if strings.Contains(document, `"`+name+`":`) {
			t.Errorf("%q in the document", name)
		}
	}
	var top map[string]any
	if err := json.Unmarshal([]byte(document), &top); err != nil || len(top) != 1 {
		t.Errorf("document %q: %v", document, err)
	}
}

func (c *checklist) thumbprints(t *testing.T) {
	_, set := c.published(t)
	seen := make(map[any]bool)
	for _, key := range set {
		// RFC 7638 §3.2: the required members in order, and no white space.
		canonical := fmt.Sprintf(`{"crv":%q,"kty":"EC","x":%q,"y":%q}`, key["crv"], key["x"], key["y"])
		want := members{"kty": "EC", "alg": "ES256"}
		if key["kty"] == "RSA" {
			canonical = fmt.Sprintf(`{"e":%q,"kty":"RSA","n":%q}`, key["e"], key["n"])
			want = members{"kty": "RSA", "alg": "RS256"}
		}
		digest := crypto.SHA256.New()
		digest.Write([]byte(canonical))
		want["kid"], want["use"] = base64.RawURLEncoding.EncodeToString(digest.Sum(nil)), "sig"
		for name, value := range want {
			if key[name] != value {
				t.Errorf("%s: %v, want %v", name, key[name], value)
			}
		}
		if seen[key["kid"]] {
			t.Errorf("kid %v twice", key["kid"])
		}
		seen[key["kid"]] = true
	}
}

func (c *checklist) keyMembers(t *testing.T) {
	_, set := c.published(t, shortCoordinate(t), keystest.Key(keystest.ES256), keystest.Key(keystest.RS256),
		keystest.Key(keystest.RS256Other))
	if len(set) != 4 {
		t.Fatalf("%d keys", len(set))
	}
	decode := func(key members, name string) []byte {
		octets, err := base64.RawURLEncoding.Strict().DecodeString(key[name].(string))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return octets
	}
	for _, key := range set {
		if key["kty"] == "EC" {
			if x, y := decode(key, "x"), decode(key, "y"); key["crv"] != "P-256" || len(x) != 32 || len(y) != 32 {
				t.Errorf("curve %v, x of %d octets, y of %d", key["crv"], len(x), len(y))
			}
			continue
		}
		n, e := decode(key, "n"), decode(key, "e")
		if bits := new(big.Int).SetBytes(n).BitLen(); bits < 2048 || n[0] == 0 {
			t.Errorf("n of %d bits, begins with %d", bits, n[0])
		}
		if key["e"] != "AQAB" || e[0] == 0 {
			t.Errorf("e %v", key["e"])
		}
	}
}

// shortCoordinate makes a key one of whose coordinates begins with a zero octet, as every 128th key's does: where it is
// written without it, every 128th rotation stops all verifiers.
func shortCoordinate(t *testing.T) *keys.PrivateKey {
	t.Helper()
	for range 100_000 {
		key, err := keys.GenerateKey(keys.ES256)
		if err != nil {
			t.Fatal(err)
		}
		set, err := keys.NewSet(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		document, err := set.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		// Octets that begin with a zero are base64 that begins with an A and one of the first 16 digits.
		for _, name := range []string{`"x":"A`, `"y":"A`} {
			if _, rest, found := strings.Cut(string(document), name); found && rest[0] >= 'A' && rest[0] <= 'P' {
				return key
			}
		}
	}
	t.Fatal("no key begins with a zero")
	return nil
}

func (c *checklist) jwksHeaders(t *testing.T) {
	e := c.edge(t)
	first := e.get(t, jwks)
	etag := first.Header.Get("ETag")
	cached := map[string]string{"Cache-Control": "public, max-age=300", "ETag": etag,
		"Access-Control-Allow-Origin": "*"}
	checkHeaders(t, first, 200, cached)
	checkHeaders(t, first, 200, map[string]string{"Content-Type": "application/jwk-set+json", "Pragma": "",
		"Set-Cookie": ""})
	if len(etag) < 20 || !strings.HasPrefix(etag, `"`) || !strings.HasSuffix(etag, `"`) {
		t.Errorf("ETag %s", etag)
	}
	for _, match := range []string{etag, "W/" + etag, `"a",` + etag, `"a" , ` + etag + ` , "b"`, "*"} {
		t.Run("304 for "+match, func(t *testing.T) {
			for _, method := range []string{"GET", "HEAD"} {
				a := e.do(t, e.request(t, method, jwks, "", "If-None-Match", match))
				checkHeaders(t, a, 304, cached)
				if a.body != "" {
					t.Errorf("body %q", a.body)
				}
			}
		})
	}
	for _, match := range []string{`"a"`, `""`, strings.Trim(etag, `"`), etag[:len(etag)-2] + `"`,
		strings.ToLower(etag) + "x"} {
		t.Run("200 for "+match, func(t *testing.T) {
			if a := e.get(t, jwks, "If-None-Match", match); a.StatusCode != 200 || a.body != first.body {
				t.Errorf("status %d, body %q", a.StatusCode, a.body)
			}
		})
	}
	t.Run("HEAD", func(t *testing.T) {
		a := e.do(t, e.request(t, http.MethodHead, jwks, ""))
		checkHeaders(t, a, 200, cached)
		if a.body != "" || a.ContentLength != int64(len(first.body)) {
			t.Errorf("body %q, Content-Length %d", a.body, a.ContentLength)
		}
	})
	t.Run("another set has another tag", func(t *testing.T) {
		e.clock.Advance(2 * time.Hour) // another key signs
		if a := e.get(t, jwks, "If-None-Match", etag); a.StatusCode != 200 || a.Header.Get("ETag") == etag {
			t.Errorf("status %d, ETag %s", a.StatusCode, a.Header.Get("ETag"))
		}
	})
}

func (c *checklist) noKeys(t *testing.T) {
	for _, path := range []string{"", "/tenant/one"} {
		e := c.edge(t, func(cfg *server.Config) {
			cfg.Issuer = issuer + path
			cfg.Ring = func() *keys.Ring { return nil }
			cfg.Token = nil
		})
		for _, method := range []string{"GET", "HEAD"} {
			t.Run(method+path, func(t *testing.T) {
				a := e.do(t, e.request(t, method, path+jwks, "", "If-None-Match", "*"))
				checkHeaders(t, a, 503, map[string]string{"Retry-After": "5", "Cache-Control": "", "ETag": ""})
				if strings.Contains(a.body, "keys\":") {
					t.Errorf("body %q", a.body)
				}
			})
		}
	}
	if _, err := keys.NewRing(); err == nil {
		t.Error("there is a ring without keys")
	}
}

// issuerPaths are paths that the issuer identifier may have.
var issuerPaths = []string{"", "/one", "/tenant/one", "/.well-known"}

// metadata are those that an issuer of that path serves at a place.
func (c *checklist) metadata(t *testing.T, path, place string) map[string]any {
	t.Helper()
	a := c.edge(t, func(cfg *server.Config) { cfg.Issuer = issuer + path }).get(t, place)
	checkHeaders(t, a, 200, map[string]string{"Content-Type": "application/json", "Access-Control-Allow-Origin": "*"})
	var got map[string]any
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatalf("body %q: %v", a.body, err)
	}
	return got
}

func (c *checklist) metadataIssuer(t *testing.T) {
	for _, path := range issuerPaths {
		got := c.metadata(t, path, "/.well-known/oauth-authorization-server"+path)
		want := map[string]any{
			"issuer": issuer + path, "token_endpoint": issuer + path + "/oauth2/token",
			"jwks_uri": issuer + path + jwks,
		}
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s: %v, want %v", name, got[name], value)
			}
		}
	}
	settings := func(name string) error {
		flags := pflag.NewFlagSet("issuer", pflag.ContinueOnError)
		s := config.Bind(flags)
		s.Issuer, s.Registry = name, "registry.yaml"
		return s.Check()
	}
	for _, good := range []string{issuer, issuer + "/tenant/one", "http://127.0.0.1:8080", "http://localhost:8080",
		"http://[::1]:8080"} {
		if err := settings(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"http://issuer.example.com", "http://127.0.0.1.example.com", "http://192.0.2.1", issuer + "?", issuer + "?a=b",
		issuer + "#", issuer + "#a",
		issuer + "/", "https://user@issuer.example.com", "https://", "issuer.example.com", "ftp://issuer.example.com",
		"urn:example:issuer", issuer + " ",
	} {
		if err := settings(bad); err == nil || !strings.Contains(err.Error(), "--issuer") {
			t.Errorf("%q: error %v", bad, err)
		}
	}
}

func (c *checklist) metadataPlaces(t *testing.T) {
	for _, path := range issuerPaths {
		oauthPlace := "/.well-known/oauth-authorization-server" + path
		openIDPlace := path + "/.well-known/openid-configuration"
		if diff := cmp.Diff(c.metadata(t, path, oauthPlace), c.metadata(t, path, openIDPlace)); diff != "" {
			t.Errorf("%s and %s differ:\n%s", oauthPlace, openIDPlace, diff)
		}
		e := c.edge(t, func(cfg *server.Config) { cfg.Issuer = issuer + path })
		elsewhere := []string{oauthPlace + "/", openIDPlace + "/", "/well-known/oauth-authorization-server" + path,
			strings.ToUpper(oauthPlace)}
		if path != "" {
			elsewhere = append(elsewhere, path+"/.well-known/oauth-authorization-server",
				"/.well-known/oauth-authorization-server")
		}
		for _, place := range elsewhere {
			if a := e.get(t, place); a.StatusCode != 404 {
				t.Errorf("%s: status %d", place, a.StatusCode)
			}
		}
	}
}

func (c *checklist) metadataLists(t *testing.T) {
	got := c.metadata(t, "", "/.well-known/oauth-authorization-server")
	want := map[string]any{
		"grant_types_supported": []any{"client_credentials"},
		"token_endpoint_auth_methods_supported": []any{"private_key_jwt", "client_secret_basic",
			"client_secret_post"},
		"token_endpoint_auth_signing_alg_values_supported": []any{"ES256", "RS256"},
	}
	for name, list := range want {
		if diff := cmp.Diff(list, got[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for name, value := range got {
		list, isList := value.([]any)
		if value == nil || value == "" || (isList && len(list) == 0) {
			t.Errorf("%s: %v", name, value)
		}
	}
}

func (c *checklist) responseTypes(t *testing.T) {
	got := c.metadata(t, "", "/.well-known/oauth-authorization-server")
	if diff := cmp.Diff([]any{"none"}, got["response_types_supported"]); diff != "" {
		t.Errorf("response_types_supported (-want +got):\n%s", diff)
	}
	if got["authorization_endpoint"] != nil {
		t.Errorf("authorization_endpoint %v", got["authorization_endpoint"])
	}
}
