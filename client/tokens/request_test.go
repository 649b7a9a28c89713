package tokens_test

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/client/tokens"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
	"example.com/signet/keys/remote"
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

// verified returns the assertion of a request that a key of the set has signed.
func verified(t *testing.T, r request, set *keys.Set) keys.Token {
	t.Helper()
	token, err := set.Verify(r.form.Get("client_assertion"))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func claims(t *testing.T, token keys.Token) (c assertionClaims) {
	t.Helper()
	if err := keys.DecodeObject(token.Payload, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func claimsOf(t *testing.T, r request) assertionClaims {
	t.Helper()
	return claims(t, verified(t, r, keystest.Set(keystest.ES256)))
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
				token := verified(t, r, keystest.Set(name))
				wantHeader := keys.Header{Algorithm: key.Algorithm(), KeyID: key.ID(), Type: "client-authentication+jwt"}
				if token.Header != wantHeader {
					t.Errorf("header %+v, want %+v", token.Header, wantHeader)
				}
				got := claims(t, token)
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

// An endpoint that does not answer as one may have moved: the metadata are asked again, and who waits need not know.
func TestEndpointMoves(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		leave func(old *issuer)
	}{
		{"to another path", func(old *issuer) { old.Answer(answer(http.StatusNotFound, "")) }},
		{"with a redirect", func(old *issuer) { old.Answer(answer(http.StatusPermanentRedirect, "")) }},
		{"to another host", func(old *issuer) { old.Close() }},
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
			wantToken(t, source, "moved")
			if asked := i.MetadataAsked(); asked != 2 {
				t.Errorf("the metadata were asked for %d times, want twice", asked)
			}
		})
	}
}

// An endpoint that says no, or later, is still the endpoint.
func TestEndpointStays(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
	}{
		{"refused", answer(http.StatusBadRequest, invalidClient)},
		{"failing", answer(http.StatusInternalServerError, "")},
		{"busy", later(http.StatusServiceUnavailable, "1")},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i, cfg := newIssuerInMemory()
				i.Answer(test.answer)
				source := newSource(t, cfg)
				poll(t, source, time.Minute)
				if asked := i.MetadataAsked(); asked != 1 || len(i.Requests()) < 5 {
					t.Errorf("the metadata were asked for %d times in %d attempts, want once", asked, len(i.Requests()))
				}
			})
		})
	}
}

// Who names the token endpoint wants no metadata, and needs none.
func TestExplicitEndpoint(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc // to the first request
	}{
		{"well", grant("token-1", 600)},
		{"cut", cut},
		{"gone", answer(http.StatusNotFound, "")},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			i.AnswerMetadata(metadata("https://evil.example", "https://evil.example/token"))
			i.Answer(inTurn(test.answer, grant("token-1", 600)))
			cfg := config(t, i)
			cfg.Issuer, cfg.TokenEndpoint = "https://issuer.example.com", i.URL+"/oauth2/token"
			wantToken(t, newSource(t, cfg), "token-1")
			if i.MetadataAsked() != 0 {
				t.Error("the metadata were asked for")
			}
			if audience := claimsOf(t, i.Requests()[0]).Audience; !slices.Equal(audience, keys.Audience{cfg.Issuer}) {
				t.Errorf("aud %q, want the issuer and not the endpoint", audience)
			}
		})
	}
}

// A proof for one issuer is not given to whoever says to be another.
func TestMetadataOfAnotherIssuer(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	for _, other := range []string{"https://evil.example", i.URL + "/", strings.Replace(i.URL, "http", "HTTP", 1), ""} {
		i.AnswerMetadata(metadata(other, i.URL+"/oauth2/token"))
		_, err := newSource(t, config(t, i)).Token(t.Context())
		if !errors.Is(err, tokens.ErrAnswer) || !errors.Is(err, remote.ErrIssuer) {
			t.Errorf("%q: got %v, want %v", other, err, remote.ErrIssuer)
		}
	}
	if len(i.Requests()) != 0 {
		t.Error("a proof was sent all the same")
	}
}
