package oauth_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

const (
	issuer    = "https://issuer.example.com"
	leeway    = 30 * time.Second
	api       = "https://api.example.com"
	legacy    = "urn:example:legacy"
	plain     = "https://plain.example.com"
	off       = "https://off.example.com"
	secret    = "correct-horse-battery-staple"
	oldSecret = "an-older-horse-battery-staple"
	oddSecret = "p+s%: /=é"
)

// The clients: one for each way of authenticating, and some that lack something.
const registryYAML = `resources:
  - {audience: 'https://api.example.com', scopes: [read, write, admin]}
  - {audience: 'urn:example:legacy', scopes: [use], algorithm: RS256, token_type: JWT, token_lifetime: 1h}
  - {audience: 'https://plain.example.com', token_lifetime: 1s}
  - {audience: 'https://off.example.com', enabled: false, scopes: [read]}
clients:
  - id: jwt
    keys: [{file: es256-other.pub}]
    allow: [{resource: 'https://api.example.com', scopes: [read, write], default_scopes: [read]}]
  - id: rsa
    keys: [{file: rs256-other.pub}]
    allow: [{resource: 'urn:example:legacy', scopes: [use], default_scopes: [use]}]
  - id: secret
    secrets: [{sha256: SECRET}, {sha256: OLD, expires: 2026-11-23T10:20:00Z}]
    allow:
      - {resource: 'https://api.example.com', scopes: [read, write], default_scopes: [write, read]}
      - {resource: 'urn:example:legacy', scopes: [use]}
      - {resource: 'https://plain.example.com'}
      - {resource: 'https://off.example.com', scopes: [read], default_scopes: [read]}
    default_resource: https://api.example.com
  - id: undecided
    secrets: [{sha256: SECRET}]
    allow: [{resource: 'https://api.example.com', scopes: [read]}, {resource: 'https://plain.example.com'}]
  - id: a.b/c~d@e
    secrets: [{sha256: ODD}]
    allow: [{resource: 'https://plain.example.com'}]
  - id: off
    keys: [{file: es256-other.pub}]
    secrets: [{sha256: SECRET}]
    allow: [{resource: 'https://off.example.com', scopes: [read], default_scopes: [read]}]
  - id: disabled
    enabled: false
    keys: [{file: es256-other.pub}]
    secrets: [{sha256: SECRET}]
    allow: [{resource: 'https://plain.example.com'}]
`

// fixture is an endpoint whose clock stands still at 10:15.
type fixture struct {
	clock    *keystest.Clock
	registry *clients.Registry
	ring     *keys.Ring
	endpoint *oauth.Endpoint
}

// newFixture returns an endpoint; change may alter its configuration.
func newFixture(t testing.TB, change ...func(*oauth.Config)) *fixture {
	t.Helper()
	f := &fixture{clock: keystest.NewClock(), registry: readRegistry(t)}
	start := f.clock.Now().Add(-time.Hour)
	f.ring = must(keys.NewRing(
		keys.RingKey{Key: keystest.Key(keystest.ES256), SignsFrom: start},
		keys.RingKey{Key: keystest.Key(keystest.RS256), SignsFrom: start}))
	cfg := oauth.Config{
		Issuer:   issuer,
		Registry: func() oauth.Registry { return f.registry },
		Keys:     f.ring,
		Spent:    newSpent(f.clock.Now),
		Leeway:   leeway,
		Now:      f.clock.Now,
	}
	for _, c := range change {
		c(&cfg)
	}
	f.endpoint = must(oauth.New(cfg))
	return f
}

func readRegistry(t testing.TB) *clients.Registry {
	t.Helper()
	dir := t.TempDir()
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	text := strings.NewReplacer("SECRET", hash(secret), "OLD", hash(oldSecret), "ODD", hash(oddSecret)).Replace(registryYAML)
	for name, content := range map[string][]byte{
		"registry.yaml":   []byte(text),
		"es256-other.pub": must(keystest.Key(keystest.ES256Other).Public().MarshalPEM()),
		"rs256-other.pub": must(keystest.Key(keystest.RS256Other).Public().MarshalPEM()),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return must(clients.ReadFile(filepath.Join(dir, "registry.yaml"), keystest.NewClock().Now()))
}

// must unwraps what a test needs and cannot go wrong.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// form is a body: names and values in turn, with the grant type unless it is among them.
func form(pairs ...string) url.Values {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	if !values.Has("grant_type") {
		values.Set("grant_type", "client_credentials")
	}
	return values
}

// basic is a Basic header for an id and a secret that are form-encoded already.
func basic(id, secret string) []string {
	return []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))}
}

// withSecret is a request of the client named secret.
func withSecret(pairs ...string) oauth.Request {
	return oauth.Request{Authorization: basic("secret", secret), Form: form(pairs...)}
}

// grant asks and fails the test when the endpoint refuses.
func (f *fixture) grant(t testing.TB, r oauth.Request) granted {
	t.Helper()
	response, record, err := f.endpoint.Token(t.Context(), r)
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	return granted{response, record}
}

// granted is a response, and what the audit trail is told of it.
type granted struct {
	oauth.Response
	Record oauth.Record
}

// refuse asks, and fails the test unless the endpoint refuses with that code and cause. Every refusal of the package's
// tests comes by here, so I19 is checked here for all of them.
func (f *fixture) refuse(t testing.TB, r oauth.Request, code oauth.Code, cause string) *oauth.Error {
	t.Helper()
	response, _, err := f.endpoint.Token(t.Context(), r)
	var refused *oauth.Error
	if !errors.As(err, &refused) {
		t.Fatalf("error %v is no oauth.Error", err)
	}
	if response != (oauth.Response{}) {
		t.Errorf("refused, and yet a response: %+v", response)
	}
	got := refused.Description
	if refused.Cause != nil {
		got = refused.Cause.Error()
	}
	if refused.Code != code || got != cause {
		t.Errorf("refused with %s, %q\n    want %s, %q", refused.Code, got, code, cause)
	}
	checkDescription(t, r, refused)
	return refused
}

// checkDescription is I19: the characters of RFC 6749 §5.2, and nothing that the caller sent.
func checkDescription(t testing.TB, r oauth.Request, refused *oauth.Error) {
	t.Helper()
	outside := func(c rune) bool { return c < 0x20 || c > 0x7E || c == '"' || c == '\\' }
	if refused.Description == "" || strings.ContainsFunc(refused.Description, outside) {
		t.Errorf("I19: description %q", refused.Description)
	}
	const shortest = 6 // shorter values are words of the phrase by chance
	for name, values := range r.Form {
		for _, value := range append(values, name) {
			known := value == "client_credentials" || oauthNames[value]
			if len(value) >= shortest && !known && strings.Contains(refused.Description, value) {
				t.Errorf("I19: description %q has %q of the request", refused.Description, value)
			}
		}
	}
}

// oauthNames are words of the protocol; a phrase may use them whoever sends them.
var oauthNames = map[string]bool{
	"grant_type": true, "client_id": true, "client_secret": true, "client_assertion": true, "resource": true,
	"client_assertion_type": true, "scope": true, assertionType: true, "secret": true,
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// claims are those of an assertion; nil takes one away.
type claims map[string]any

// assertion is a good assertion of the client named jwt, with claims replaced.
func (f *fixture) assertion(t testing.TB, change claims) string {
	t.Helper()
	return keystest.Forge(keystest.ES256Other, header("ES256", keystest.ES256Other), f.payload(t, change))
}

func (f *fixture) payload(t testing.TB, change claims) string {
	t.Helper()
	now := f.clock.Now().Unix()
	all := claims{"iss": "jwt", "sub": "jwt", "aud": issuer, "iat": now, "exp": now + 60, "jti": t.Name()}
	for name, value := range change {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	return string(must(json.Marshal(all)))
}

func header(alg, name string) string {
	return fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"client-authentication+jwt"}`, alg, keystest.Key(name).ID())
}

// withAssertion is a request with that assertion.
func withAssertion(assertion string, pairs ...string) oauth.Request {
	return oauth.Request{Form: form(append(pairs, "client_assertion_type", assertionType, "client_assertion", assertion)...)}
}

// registryFunc is a registry that a test makes fail.
type registryFunc struct {
	oauth.Registry
	client   error
	resource error
}

func (r registryFunc) Client(ctx context.Context, id string) (*clients.Client, error) {
	if r.client != nil {
		return nil, r.client
	}
	return r.Registry.Client(ctx, id)
}

func (r registryFunc) Resource(ctx context.Context, audience string) (*clients.Resource, error) {
	if r.resource != nil {
		return nil, r.resource
	}
	return r.Registry.Resource(ctx, audience)
}
