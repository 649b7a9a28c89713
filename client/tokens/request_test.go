package tokens_test

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/client/tokens"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

func TestRequest(t *testing.T) {
	t.Parallel()
	required := []string{"client_assertion", "client_assertion_type", "grant_type"}
	with := func(names ...string) []string { return slices.Sorted(slices.Values(append(names, required...))) }
	for _, test := range []struct {
		name     string
		resource string
		scope    []string
		params   []string
		want     url.Values // of the optional parameters
	}{
		{"nothing asked for", "", nil, required, url.Values{}},
		{"empty scope", "", []string{}, required, url.Values{}},
		{"resource", "https://orders.example.com", nil, with("resource"), url.Values{"resource": {"https://orders.example.com"}}},
		{"resource with reserved characters", "https://a.example/?x=1&scope=admin", nil, with("resource"),
			url.Values{"resource": {"https://a.example/?x=1&scope=admin"}}},
		{"resource without origin", "urn:example:orders", nil, with("resource"), url.Values{"resource": {"urn:example:orders"}}},
		{"scope", "", []string{"read", "write"}, with("scope"), url.Values{"scope": {"read write"}}},
		{"scope with reserved characters", "", []string{"a&grant_type=x"}, with("scope"), url.Values{"scope": {"a&grant_type=x"}}},
		{"both", "https://b.example", []string{"read"}, with("resource", "scope"),
			url.Values{"resource": {"https://b.example"}, "scope": {"read"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			cfg := config(t, i)
			cfg.Resource, cfg.Scope = test.resource, test.scope
			wantToken(t, newSource(t, cfg), "token-1")

			got := i.Requests()[0]
			if got.method != http.MethodPost || got.query != "" {
				t.Errorf("%s with query %q: the assertion belongs into the body of a POST", got.method, got.query)
			}
			if mime := got.header.Get("Content-Type"); mime != "application/x-www-form-urlencoded" {
				t.Errorf("Content-Type %q", mime)
			}
			if got.header.Get("Authorization") != "" {
				t.Error("two ways of authenticating at once (RFC 6749 §2.3)")
			}
			if params := slices.Sorted(maps.Keys(got.form)); !slices.Equal(params, test.params) {
				t.Errorf("parameters %q, want %q", params, test.params)
			}
			test.want["grant_type"] = []string{"client_credentials"}
			test.want["client_assertion_type"] = []string{"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
			got.form.Del("client_assertion")
			if diff := cmp.Diff(test.want, got.form); diff != "" {
				t.Errorf("form (-want +got):\n%s", diff)
			}
		})
	}
}

// assertionClaims are all the claims that an assertion has; another one would be an error of the strict decoding.
type assertionClaims struct {
	Issuer    string        `json:"iss"`
	Subject   string        `json:"sub"`
	Audience  keys.Audience `json:"aud"`
	ID        string        `json:"jti"`
	IssuedAt  int64         `json:"iat"`
	Expires   int64         `json:"exp"`
	NotBefore int64         `json:"nbf"`
}

func TestAssertion(t *testing.T) {
	t.Parallel()
	for _, name := range []string{keystest.ES256, keystest.RS256} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock, i := keystest.NewClock(), newIssuer(t)
			i.Answer(grant("uncached", 0))
			cfg := config(t, i)
			key := keystest.Key(name)
			cfg.Credential, cfg.Now = tokens.PrivateKey(key), clock.Now
			source := newSource(t, cfg)
			const requests = 20
			ids := make(map[string]bool)
			for range requests {
				wantToken(t, source, "uncached")
			}
			for _, r := range i.Requests() {
				token, err := keystest.Set(name).Verify(r.form.Get("client_assertion"))
				if err != nil {
					t.Fatal(err)
				}
				wantHeader := keys.Header{Algorithm: key.Algorithm(), KeyID: key.ID(), Type: "client-authentication+jwt"}
				if token.Header != wantHeader {
					t.Errorf("header %+v, want %+v", token.Header, wantHeader)
				}
				var got assertionClaims
				if err := keys.DecodeObject(token.Payload, &got); err != nil {
					t.Fatal(err)
				}
				want := assertionClaims{
					Issuer: "billing", Subject: "billing", Audience: keys.Audience{i.URL}, // the issuer identifier, not the endpoint
					ID: got.ID, IssuedAt: clock.Now().Unix(), Expires: got.Expires,
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("claims (-want +got):\n%s", diff)
				}
				if life := time.Unix(got.Expires, 0).Sub(clock.Now()); life <= 0 || life > 5*time.Minute {
					t.Errorf("the assertion is good for %v", life)
				}
				if strings.Contains(string(token.Payload), `"aud":[`) {
					t.Error("aud is an array: some issuers read a string only")
				}
				ids[got.ID] = len(got.ID) >= 22 // 128 bits in base64
			}
			if len(ids) != requests || slices.Contains(slices.Collect(maps.Values(ids)), false) {
				t.Errorf("%d different jti of enough length in %d assertions: %v", len(ids), requests, ids)
			}
		})
	}
}

func TestScopeIsCopied(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	cfg := config(t, i)
	cfg.Scope = []string{"read"}
	source := newSource(t, cfg)
	cfg.Scope[0] = "admin" // the caller's slice is the caller's
	wantToken(t, source, "token-1")
	if got := i.Requests()[0].form.Get("scope"); got != "read" {
		t.Errorf("scope %q was asked for, want %q", got, "read")
	}
}

func TestMetadataAreAskedForOnce(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.Answer(grant("uncached", 0))
	source := newSource(t, config(t, i))
	for range 3 {
		wantToken(t, source, "uncached")
	}
	if asked := i.MetadataAsked(); asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

func TestGrantedScope(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.Answer(answer(http.StatusOK, `{"access_token":"a","token_type":"bearer","expires_in":60,"scope":"read"}`))
	clock := keystest.NewClock()
	cfg := config(t, i)
	cfg.Now = clock.Now
	token := wantToken(t, newSource(t, cfg), "a")
	if token.Scope != "read" || !token.Expires.Equal(clock.Now().Add(time.Minute)) {
		t.Errorf("scope %q, until %v", token.Scope, token.Expires)
	}
}

func TestEndpointMoves(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		leave func(old *issuer)
		want  error
	}{
		{"to another path", func(old *issuer) { old.Answer(answer(http.StatusNotFound, "")) }, tokens.ErrAnswer},
		{"with a redirect", func(old *issuer) { old.Answer(answer(http.StatusPermanentRedirect, "")) }, tokens.ErrAnswer},
		{"to another host", func(old *issuer) { old.Close() }, tokens.ErrUnreachable},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i, old, moved := newIssuer(t), newIssuer(t), newIssuer(t)
			old.Answer(grant("old", 0))
			moved.Answer(grant("moved", 0))
			i.AnswerMetadata(metadata(i.URL, old.URL+"/oauth2/token"))
			source := newSource(t, config(t, i))
			wantToken(t, source, "old")
			i.AnswerMetadata(metadata(i.URL, moved.URL+"/oauth2/token"))
			wantToken(t, source, "old")
			test.leave(old)
			if _, err := source.Token(t.Context()); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			wantToken(t, source, "moved")
		})
	}
}
