package oauth_test

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"

	"example.com/signet/issuer/internal/oauth"
)

const failed = "client authentication failed"

func TestParameters(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	t.Run("I02 without value is absent, unknown is ignored", func(t *testing.T) {
		response := f.grant(t, withSecret("scope", "", "resource", "", "client_secret", "", "client_assertion", "", "nonsense", "1"))
		if response.Scope != "write read" {
			t.Errorf("scope %q is not the default", response.Scope)
		}
	})
	t.Run("I02 empty beside one with a value", func(t *testing.T) {
		r := withSecret()
		r.Form["scope"] = []string{"", "read"}
		if response := f.grant(t, r); response.Scope != "read" {
			t.Errorf("scope %q", response.Scope)
		}
	})
	for _, name := range []string{"grant_type", "scope", "client_id", "client_secret", "client_assertion", "nonsense"} {
		t.Run("I03 repeated "+name, func(t *testing.T) {
			r := withSecret()
			r.Form[name] = []string{"client_credentials", "client_credentials"}
			f.refuse(t, r, oauth.InvalidRequest, "a parameter is repeated")
		})
	}
	t.Run("I04 not UTF-8", func(t *testing.T) {
		f.refuse(t, withSecret("nonsense", "\xff"), oauth.InvalidRequest, "the body is not UTF-8")
	})
	t.Run("I18 no grant_type", func(t *testing.T) {
		f.refuse(t, withSecret("grant_type", ""), oauth.InvalidRequest, "grant_type is missing")
	})
	for _, grant := range []string{"authorization_code", "password", "refresh_token", "Client_Credentials", "client_credentials "} {
		t.Run("I18 grant_type "+grant, func(t *testing.T) {
			f.refuse(t, withSecret("grant_type", grant), oauth.UnsupportedGrantType, "the only grant_type is client_credentials")
		})
	}
	t.Run("I09 authentication comes before everything about the request", func(t *testing.T) {
		f.refuse(t, oauth.Request{Form: form("grant_type", "password", "scope", `"`)}, oauth.InvalidClient, "no credentials")
	})
	t.Run("I09 naming a client is not authenticating", func(t *testing.T) {
		f.refuse(t, oauth.Request{Form: form("client_id", "secret")}, oauth.InvalidClient, "no credentials")
	})
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	encoded := url.QueryEscape
	good := []struct {
		name    string
		request oauth.Request
		client  string
	}{
		{"I05 Basic", withSecret(), "secret"},
		{"I05 scheme in any case", oauth.Request{Authorization: []string{"bAsIc " + basic("secret", secret)[0][6:]}, Form: form()}, "secret"},
		{"I05 id and secret are form-decoded", oauth.Request{Authorization: basic(encoded("a.b/c~d@e"), encoded(oddSecret)), Form: form()}, "a.b/c~d@e"},
		{"I05 client_id beside it, the same", withSecret("client_id", "secret"), "secret"},
		{"the second secret, not expired yet", oauth.Request{Authorization: basic("secret", oldSecret), Form: form()}, "secret"},
		{"in the body", oauth.Request{Form: form("client_id", "secret", "client_secret", secret)}, "secret"},
		{"in the body, odd characters", oauth.Request{Form: form("client_id", "a.b/c~d@e", "client_secret", oddSecret)}, "a.b/c~d@e"},
	}
	for _, row := range good {
		t.Run(row.name, func(t *testing.T) {
			if response := f.grant(t, row.request); response.Record.ClientID != row.client {
				t.Errorf("token for %q", response.Record.ClientID)
			}
		})
	}
	const wrong, unknown, malformed = "wrong or expired secret", "unknown client", "malformed Basic credentials"
	raw := func(text string) []string {
		return []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(text))}
	}
	post := func(id, secret string) oauth.Request {
		return oauth.Request{Form: form("client_id", id, "client_secret", secret)}
	}
	bad := []struct {
		name    string
		request oauth.Request
		code    oauth.Code
		cause   string
	}{
		{"wrong secret", oauth.Request{Authorization: basic("secret", "wrong"), Form: form()}, oauth.InvalidClient, wrong},
		{"wrong secret in the body", post("secret", "wrong"), oauth.InvalidClient, wrong},
		{"another client's secret", post("a.b/c~d@e", secret), oauth.InvalidClient, wrong},
		{"unknown client", oauth.Request{Authorization: basic("nobody", secret), Form: form()}, oauth.InvalidClient, unknown},
		{"unknown client in the body", post("nobody", secret), oauth.InvalidClient, unknown},
		{"another case", post("Secret", secret), oauth.InvalidClient, unknown},
		{"client without secrets", post("jwt", secret), oauth.InvalidClient, wrong},
		{"disabled client", post("disabled", secret), oauth.InvalidClient, "client is disabled"},
		{"I05 colon of an id not encoded", oauth.Request{Authorization: basic("a:b/c~d@e", encoded(oddSecret)), Form: form()}, oauth.InvalidClient, unknown},
		{"I05 plus of a secret not encoded", oauth.Request{Authorization: basic(encoded("a.b/c~d@e"), "p+s%25: /=é"), Form: form()}, oauth.InvalidClient, wrong},
		{"I05 bad percent", oauth.Request{Authorization: raw("secret:%zz"), Form: form()}, oauth.InvalidClient, malformed},
		{"I05 bad percent in the id", oauth.Request{Authorization: raw("%zz:secret"), Form: form()}, oauth.InvalidClient, malformed},
		{"I05 bad base64", oauth.Request{Authorization: []string{"Basic !!!"}, Form: form()}, oauth.InvalidClient, malformed},
		{"I05 base64 without padding", oauth.Request{Authorization: []string{strings.TrimRight(basic("secret", "wrong12")[0], "=")}, Form: form()}, oauth.InvalidClient, malformed},
		{"I05 base64 with stray bits", oauth.Request{Authorization: []string{"Basic YTpiYh=="}, Form: form()}, oauth.InvalidClient, malformed},
		{"I05 no colon", oauth.Request{Authorization: raw("secret"), Form: form()}, oauth.InvalidClient, malformed},
		{"I05 no id", oauth.Request{Authorization: raw(":" + secret), Form: form()}, oauth.InvalidClient, malformed},
		{"I05 no secret", oauth.Request{Authorization: raw("secret:"), Form: form()}, oauth.InvalidClient, malformed},
		{"I05 nothing", oauth.Request{Authorization: []string{"Basic"}, Form: form()}, oauth.InvalidClient, malformed},
		{"empty Authorization", oauth.Request{Authorization: []string{""}, Form: form()}, oauth.InvalidClient, "the Authorization header is not Basic"},
		{"Bearer", oauth.Request{Authorization: []string{"Bearer abc"}, Form: form()}, oauth.InvalidClient, "the Authorization header is not Basic"},
		{"client_secret alone", oauth.Request{Form: form("client_secret", secret)}, oauth.InvalidRequest, "client_secret without client_id"},
		{"client_id is not who authenticates", withSecret("client_id", "jwt"), oauth.InvalidRequest, "client_id differs from the client that authenticates"},
	}
	for _, row := range bad {
		t.Run(row.name, func(t *testing.T) {
			f.refuse(t, row.request, row.code, row.cause)
		})
	}
	t.Run("expired secret", func(t *testing.T) {
		f := newFixture(t)
		f.clock.Advance(5 * time.Minute)
		f.refuse(t, post("secret", oldSecret), oauth.InvalidClient, wrong)
		f.grant(t, post("secret", secret))
	})
}

func TestTwoWaysOfAuthenticating(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	assertion := f.assertion(t, nil)
	const both = "more than one way of authenticating"
	rows := []struct {
		name    string
		request oauth.Request
	}{
		{"Basic and secret", withSecret("client_id", "secret", "client_secret", secret)},
		{"Basic and assertion", withSecret("client_assertion_type", assertionType, "client_assertion", assertion)},
		{"Basic and a stray assertion type", withSecret("client_assertion_type", assertionType)},
		{"Bearer and assertion", oauth.Request{Authorization: []string{"Bearer x"}, Form: withAssertion(assertion).Form}},
		{"secret and assertion", withAssertion(assertion, "client_id", "jwt", "client_secret", secret)},
		{"Basic twice", oauth.Request{Authorization: append(basic("secret", secret), basic("secret", secret)...), Form: form()}},
	}
	for _, row := range rows {
		t.Run("I07 "+row.name, func(t *testing.T) {
			f.refuse(t, row.request, oauth.InvalidRequest, both)
		})
	}
	t.Run("I07 nothing of it was spent", func(t *testing.T) {
		f.grant(t, withAssertion(assertion))
	})
}

// I20, I28: whatever was wrong with the credentials, the caller reads the same.
func TestFailuresLookAlike(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	post := func(id, secret string) oauth.Request {
		return oauth.Request{Form: form("client_id", id, "client_secret", secret)}
	}
	rows := []struct {
		name    string
		request oauth.Request
		cause   string
	}{
		{"unknown client", post("nobody", secret), "unknown client"},
		{"wrong secret", post("secret", "wrong"), "wrong or expired secret"},
		{"client without secrets", post("jwt", secret), "wrong or expired secret"},
		{"disabled client, right secret", post("disabled", secret), "client is disabled"},
		{"disabled client, wrong secret", post("disabled", "wrong"), "client is disabled"},
		{"unknown client in an assertion", withAssertion(f.assertion(t, claims{"iss": "nobody", "sub": "nobody"})), "unknown client"},
		{"disabled client in an assertion", withAssertion(f.assertion(t, claims{"iss": "disabled", "sub": "disabled"})), "client is disabled"},
		{"client without keys in an assertion", withAssertion(f.assertion(t, claims{"iss": "secret", "sub": "secret"})), "assertion: client has no keys"},
		{"malformed assertion", withAssertion("a.b"), "malformed token: not three segments"},
		{"no credentials", oauth.Request{Form: form()}, "no credentials"},
	}
	for _, row := range rows {
		t.Run("I20 "+row.name, func(t *testing.T) {
			if refused := f.refuse(t, row.request, oauth.InvalidClient, row.cause); refused.Description != failed {
				t.Errorf("description %q", refused.Description)
			}
		})
	}
}
