package oauth_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// tokenClaims are the claims that a token of ours may have, and no others.
type tokenClaims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"` // a string: decoding an array would fail
	Expires  int64  `json:"exp"`
	IssuedAt int64  `json:"iat"`
	ID       string `json:"jti"`
	ClientID string `json:"client_id"`
	Scope    string `json:"scope"`
}

// decode verifies a granted token with the public keys alone and returns its claims.
func decode(t testing.TB, f *fixture, response granted) tokenClaims {
	t.Helper()
	token, err := f.ring.Published(f.clock.Now()).Verify(response.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	var claims tokenClaims
	decoder := json.NewDecoder(strings.NewReader(string(token.Payload)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&claims); err != nil {
		t.Fatalf("claims %s: %v", token.Payload, err)
	}
	return claims
}

func TestTokenExactly(t *testing.T) {
	t.Parallel()
	now := keystest.NewClock().Now().Unix()
	rows := []struct {
		name     string
		request  oauth.Request
		key      string
		typ      keys.Type
		payload  string
		response oauth.Response
	}{
		{
			"I31 I32 ES256", withSecret("scope", "read"), keystest.ES256, keys.TypeAccessToken,
			fmt.Sprintf(`{"iss":%q,"sub":"secret","aud":%q,"exp":%d,"iat":%d,"jti":"id-1","client_id":"secret","scope":"read"}`, issuer, api, now+600, now),
			oauth.Response{TokenType: "Bearer", ExpiresIn: 600, Scope: "read"},
		},
		{
			"I31 I34 RS256, typ JWT, an hour", withSecret("scope", "use", "resource", legacy), keystest.RS256, keys.TypeJWT,
			fmt.Sprintf(`{"iss":%q,"sub":"secret","aud":%q,"exp":%d,"iat":%d,"jti":"id-1","client_id":"secret","scope":"use"}`, issuer, legacy, now+3600, now),
			oauth.Response{TokenType: "Bearer", ExpiresIn: 3600, Scope: "use"},
		},
		{
			"I32 I34 no scope, a second", withSecret("resource", plain), keystest.ES256, keys.TypeAccessToken,
			fmt.Sprintf(`{"iss":%q,"sub":"secret","aud":%q,"exp":%d,"iat":%d,"jti":"id-1","client_id":"secret"}`, issuer, plain, now+1, now),
			oauth.Response{TokenType: "Bearer", ExpiresIn: 1},
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			f := newFixture(t, func(c *oauth.Config) { c.NewID = func() string { return "id-1" } })
			response := f.grant(t, row.request)
			token, err := keystest.Set(row.key).Verify(response.AccessToken)
			if err != nil {
				t.Fatal(err)
			}
			key := keystest.Key(row.key)
			wantHeader := keys.Header{Algorithm: key.Algorithm(), KeyID: key.ID(), Type: string(row.typ)}
			if diff := cmp.Diff(wantHeader, token.Header); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(row.payload, string(token.Payload)); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
			want := row.response
			want.AccessToken = response.AccessToken
			if diff := cmp.Diff(want, response.Response); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
			digest := sha256.Sum256([]byte(secret))
			wantRecord := oauth.Record{
				ClientID: "secret", Method: "client_secret_basic", Credential: hex.EncodeToString(digest[:4]),
				Audience: decode(t, f, response).Audience, Scope: want.Scope,
				Algorithm: key.Algorithm(), KeyID: key.ID(), TokenID: "id-1",
			}
			if diff := cmp.Diff(wantRecord, response.Record); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
		})
	}
}

func TestResponseMembers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var members map[string]any
	text := must(f.grant(t, withSecret()).Encode())
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	t.Run("I10 I11 members", func(t *testing.T) { // and so no refresh_token
		want := map[string]any{"access_token": members["access_token"], "token_type": "Bearer", "expires_in": 600.0, "scope": "write read"}
		if diff := cmp.Diff(want, members); diff != "" {
			t.Errorf("response (-want +got):\n%s", diff)
		}
	})
	t.Run("I33 jti unique, 128 bits or more", func(t *testing.T) {
		seen := make(map[string]bool)
		for range 1000 {
			id := f.grant(t, withSecret()).Record.TokenID
			if seen[id] || len(id) < 26 { // 26 characters of base32 are 130 bits
				t.Fatalf("jti %q", id)
			}
			seen[id] = true
		}
	})
	t.Run("I35 sub and client_id are the registry's spelling", func(t *testing.T) {
		r := oauth.Request{Authorization: basic("a%2Eb%2Fc%7Ed%40e", "p%2Bs%25%3A+%2F%3D%C3%A9"), Form: form()}
		claims := decode(t, f, f.grant(t, r))
		if claims.Subject != "a.b/c~d@e" || claims.ClientID != claims.Subject {
			t.Errorf("sub %q, client_id %q", claims.Subject, claims.ClientID)
		}
	})
	t.Run("nothing in the body changes other claims", func(t *testing.T) {
		claims := decode(t, f, f.grant(t, withSecret("sub", "admin", "aud", plain, "iss", "evil", "exp", "9", "lifetime", "9")))
		if claims.Subject != "secret" || claims.Audience != api || claims.Issuer != issuer || claims.Expires-claims.IssuedAt != 600 {
			t.Errorf("claims %+v", claims)
		}
	})
}

func TestKeyRotates(t *testing.T) {
	t.Parallel()
	clock := keystest.NewClock()
	ring := must(keys.NewRing(
		keys.RingKey{Key: keystest.Key(keystest.ES256), SignsFrom: clock.Now()},
		keys.RingKey{Key: keystest.Key(keystest.ES256Other), SignsFrom: clock.Now().Add(time.Hour)}))
	f := newFixture(t, func(c *oauth.Config) { c.Keys, c.Now = ring, clock.Now })
	if kid := f.grant(t, withSecret()).Record.KeyID; kid != keystest.Key(keystest.ES256).ID() {
		t.Errorf("before: key %s", kid)
	}
	clock.Advance(time.Hour)
	if kid := f.grant(t, withSecret()).Record.KeyID; kid != keystest.Key(keystest.ES256Other).ID() {
		t.Errorf("after: key %s", kid)
	}
}

func TestNoKeySigns(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.clock.Advance(-2 * time.Hour)
	f.refuse(t, withSecret(), oauth.ServerError, "no key signs at this time: ES256")
	f.refuse(t, withSecret("resource", legacy, "scope", "use"), oauth.ServerError, "no key signs at this time: RS256")
}

func TestSpentFails(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *oauth.Config) {
		c.Spent = spentFunc(func(string, string, time.Time) (bool, error) { return false, errors.New("disk full") })
	})
	refused := f.refuse(t, withAssertion(f.assertion(t, nil)), oauth.TemporarilyUnavailable, "disk full")
	if refused.Description != "the client assertion cannot be checked now" {
		t.Errorf("description %q", refused.Description)
	}
	f.grant(t, withSecret()) // secrets do not need it
}

// Whatever it says beside an error, nobody gets a token on it.
func TestSpentFailsAndSaysFirst(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *oauth.Config) {
		c.Spent = spentFunc(func(string, string, time.Time) (bool, error) { return true, errors.New("timeout") })
	})
	f.refuse(t, withAssertion(f.assertion(t, nil)), oauth.TemporarilyUnavailable, "timeout")
}

// The memory is told once, of an assertion that is good but for that, and for as long as it would be accepted.
func TestSpentIsTold(t *testing.T) {
	t.Parallel()
	type spending struct {
		client, id string
		until      time.Time
	}
	var told []spending
	f := newFixture(t, func(c *oauth.Config) {
		c.Spent = spentFunc(func(client, id string, until time.Time) (bool, error) {
			told = append(told, spending{client, id, until.UTC()})
			return true, nil
		})
	})
	f.refuse(t, withAssertion(f.assertion(t, claims{"aud": "other"})), oauth.InvalidClient, causeAudience)
	f.refuse(t, withAssertion(f.assertion(t, claims{"jti": nil})), oauth.InvalidClient, causeJTI)
	f.grant(t, withAssertion(f.assertion(t, claims{"exp": f.clock.Now().Add(2 * time.Minute).Unix()})))
	want := []spending{{"jwt", t.Name(), f.clock.Now().Add(2*time.Minute + leeway)}}
	if !slices.Equal(told, want) {
		t.Errorf("told %v\nwant %v", told, want)
	}
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	full := oauth.Config{Issuer: issuer, Registry: func() oauth.Registry { return f.registry }, Keys: f.ring, Spent: newSpent(time.Now)}
	rows := []struct {
		name   string
		remove func(*oauth.Config)
		want   string
	}{
		{"issuer", func(c *oauth.Config) { c.Issuer = "" }, "oauth: no issuer"},
		{"registry", func(c *oauth.Config) { c.Registry = nil }, "oauth: no registry"},
		{"keys", func(c *oauth.Config) { c.Keys = nil }, "oauth: no keys"},
		{"spent", func(c *oauth.Config) { c.Spent = nil }, "oauth: no memory of spent assertions"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			cfg := full
			row.remove(&cfg)
			if _, err := oauth.New(cfg); err == nil || err.Error() != row.want {
				t.Errorf("error %v, want %q", err, row.want)
			}
		})
	}
	if _, err := oauth.New(full); err != nil {
		t.Errorf("with all of them: %v", err)
	}
}
