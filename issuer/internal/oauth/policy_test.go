package oauth_test

import (
	"errors"
	"strings"
	"testing"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/oauth"
)

func TestScope(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	good := []struct{ name, asked, want string }{
		{"I14 none asked: the default", "", "write read"},
		{"I13 the answer says what is granted", "read", "read"},
		{"all that is allowed, in the order asked", "read write", "read write"},
		{"repeated counts once", "read read", "read"},
	}
	for _, row := range good {
		t.Run(row.name, func(t *testing.T) {
			response := f.grant(t, withSecret("scope", row.asked))
			if response.Scope != row.want {
				t.Errorf("scope %q, want %q", response.Scope, row.want)
			}
			if got := decode(t, f, response).Scope; got != row.want {
				t.Errorf("scope in the token %q, want %q", got, row.want)
			}
		})
	}
	const forbidden, malformed = "a scope is unknown or not allowed",
		"scope values are printable ASCII without space, quote and backslash, one space between them"
	bad := []struct{ name, asked, cause string }{
		{"I15 unknown", "fly", forbidden},
		{"I15 the resource's, but not this client's", "admin", forbidden},
		{"I15 another resource's", "use", forbidden},
		{"I15 one of several", "read admin", forbidden},
		{"I15 another case", "Read", forbidden},
		{"I15 part of one", "rea", forbidden},
		{"I15 a space alone", " ", malformed},
		{"I15 two spaces", "read  write", malformed},
		{"I15 space at the end", "read ", malformed},
		{"I15 tab", "read\twrite", malformed},
		{"I15 quote", `"read"`, malformed},
		{"I15 not ASCII", "léser", malformed},
		{"I15 comma between", "read,write", forbidden},
	}
	for _, row := range bad {
		t.Run(row.name, func(t *testing.T) {
			f.refuse(t, withSecret("scope", row.asked), oauth.InvalidScope, row.cause)
		})
	}
	t.Run("I14 none asked and no default", func(t *testing.T) {
		f.refuse(t, withSecret("resource", legacy), oauth.InvalidScope, "the client has no default scope: ask for one")
	})
	t.Run("I14 a resource without scopes gives a token without", func(t *testing.T) {
		response := f.grant(t, withSecret("resource", plain))
		if response.Scope != "" || decode(t, f, response).Scope != "" {
			t.Errorf("scope %q", response.Scope)
		}
	})
	t.Run("I15 a scope of a resource without scopes", func(t *testing.T) {
		f.refuse(t, withSecret("resource", plain, "scope", "read"), oauth.InvalidScope, forbidden)
	})
}

func TestResource(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	undecided := func(pairs ...string) oauth.Request {
		return oauth.Request{Authorization: basic("undecided", secret), Form: form(pairs...)}
	}
	good := []struct {
		name    string
		request oauth.Request
		want    string
	}{
		{"I30 none asked: the declared default", withSecret(), api},
		{"I30 none asked: the only one", withAssertion(f.assertion(t, nil)), api},
		{"I29 the one that is asked for", withSecret("resource", legacy, "scope", "use"), legacy},
		{"I29 an empty one beside it", withSecret("resource", "", "resource", plain), plain},
	}
	for _, row := range good {
		t.Run(row.name, func(t *testing.T) {
			response := f.grant(t, row.request)
			if got := decode(t, f, response).Audience; got != row.want || response.Record.Audience != row.want {
				t.Errorf("aud %q, issued %q, want %q", got, response.Record.Audience, row.want)
			}
		})
	}
	const notAllowed = "the resource is unknown or not allowed"
	const notURI = "the resource is not an absolute URI without fragment"
	bad := []struct {
		name    string
		request oauth.Request
		cause   string
	}{
		{"I30 none asked, several allowed, no default", undecided("scope", "read"), "the client has no default resource: name one"},
		{"I29 unknown", withSecret("resource", "https://none.example.com"), notAllowed},
		{"I29 known, but not for this client", undecided("resource", legacy), notAllowed},
		{"I29 a slash more", withSecret("resource", api+"/"), notAllowed},
		{"I29 another case", withSecret("resource", "https://API.example.com"), notAllowed},
		{"I29 below it", withSecret("resource", api+"/v1"), notAllowed},
		{"I29 fragment", withSecret("resource", api+"#a"), notURI},
		{"I29 empty fragment", withSecret("resource", api+"#"), notURI},
		{"I29 relative", withSecret("resource", "/v1"), notURI},
		{"I29 a word", withSecret("resource", "billing"), notURI},
		{"I29 space", withSecret("resource", api+" "), notURI},
		{"I29 two resources", withSecret("resource", api, "resource", plain), "a token is for one resource"},
		{"I29 one resource twice", withSecret("resource", api, "resource", api), "a token is for one resource"},
	}
	for _, row := range bad {
		t.Run(row.name, func(t *testing.T) {
			f.refuse(t, row.request, oauth.InvalidTarget, row.cause)
		})
	}
	t.Run("the audience parameter of other servers is not read", func(t *testing.T) {
		if response := f.grant(t, withSecret("audience", plain)); response.Record.Audience != api {
			t.Errorf("audience %q", response.Record.Audience)
		}
	})
}

// A resource that is disabled is, to whoever asks, one that is not there. The log knows better.
func TestResourceDisabled(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	unknown := f.refuse(t, withSecret("resource", "https://none.example.com"), oauth.InvalidTarget,
		"the resource is unknown or not allowed")
	rows := []struct {
		name    string
		request oauth.Request
	}{
		{"asked for", withSecret("resource", off)},
		{"asked for, with a scope", withSecret("resource", off, "scope", "read")},
		{"the only one of a client", oauth.Request{Authorization: basic("off", secret), Form: form()}},
		{"by an assertion", withAssertion(f.assertion(t, claims{"iss": "off", "sub": "off"}))},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			refused := f.refuse(t, row.request, oauth.InvalidTarget, "resource is disabled")
			if refused.Description != unknown.Description {
				t.Errorf("description %q, of an unknown one %q", refused.Description, unknown.Description)
			}
		})
	}
	f.grant(t, withSecret()) // the client's other resources are served
}

// What cannot be found out now is the issuer's fault, never the client's.
func TestLookUpFails(t *testing.T) {
	t.Parallel()
	down := errors.New("database away")
	f := newFixture(t)
	rows := []struct {
		name     string
		registry registryFunc
		request  oauth.Request
		code     oauth.Code
		cause    string
	}{
		{"client with a secret", registryFunc{client: down}, withSecret(), oauth.TemporarilyUnavailable, "database away"},
		{"client with an assertion", registryFunc{client: down}, withAssertion(f.assertion(t, nil)), oauth.TemporarilyUnavailable, "database away"},
		{"resource", registryFunc{resource: down}, withSecret(), oauth.TemporarilyUnavailable, "database away"},
		{"resource gone since the client was read", registryFunc{resource: clients.ErrUnknownResource}, withSecret(), oauth.InvalidTarget, "unknown resource"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			row.registry.Registry = f.registry
			broken := newFixture(t, func(c *oauth.Config) { c.Registry = func() oauth.Registry { return row.registry } })
			broken.refuse(t, row.request, row.code, row.cause)
		})
	}
}

// The scope is read before it is known to be allowed, so a body full of it must be cheap.
func TestScopeOfManyValues(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var asked strings.Builder
	for i := range 20_000 {
		asked.WriteString(" ")
		for n := i; n >= 0; n = n/90 - 1 {
			asked.WriteByte("!#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~"[n%90])
		}
	}
	f.refuse(t, withSecret("scope", asked.String()[1:]), oauth.InvalidScope, "a scope is unknown or not allowed")
}
