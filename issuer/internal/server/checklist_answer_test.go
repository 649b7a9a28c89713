package server_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/issuer/internal/limit"
	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/issuer/internal/server"
	"example.com/signet/keys"
)

func (c *checklist) authenticated(t *testing.T) {
	e := c.edge(t)
	rows := []struct {
		name    string
		form    []string
		headers []string
	}{
		{"nothing", nil, nil},
		{"an id alone", []string{"client_id", "billing"}, nil},
		{"an id alone, as Basic", nil, []string{"Authorization", basic("billing", "")}},
		{"Bearer", nil, []string{"Authorization", "Bearer " + secret}},
		{"Digest", nil, []string{"Authorization", `Digest username="billing"`}},
		{"a header that names the client", nil, []string{"X-Client-Id", "billing"}},
		{"a cookie", nil, []string{"Cookie", "client_id=billing; client_secret=" + secret}},
		{"a client whose only credentials are keys", []string{"client_id", "robot", "client_secret", secret}, nil},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			checkRefused(t, e.ask(t, form(row.form...), row.headers...), 401, "invalid_client", failed)
		})
	}
}

// ways are the ways of authenticating, each with a good request.
func (e *edge) ways(t *testing.T, pairs ...string) map[string]answer {
	t.Helper()
	return map[string]answer{
		"client_secret_basic": e.askAs(t, pairs...),
		"client_secret_post":  e.ask(t, form(append(pairs, "client_id", "billing", "client_secret", secret)...)),
		"private_key_jwt":     e.askAssertion(t, forgeAssertion(e.claims()), pairs...),
	}
}

func (c *checklist) noRefreshToken(t *testing.T) {
	for way, a := range c.edge(t).ways(t, "access_type", "offline") {
		t.Run(way, func(t *testing.T) {
			grantedToken(t, a)
			if strings.Contains(a.body, "refresh") {
				t.Errorf("body %q", a.body)
			}
		})
	}
}

func (c *checklist) granted(t *testing.T) {
	for way, a := range c.edge(t).ways(t) {
		t.Run(way, func(t *testing.T) {
			grantedToken(t, a)
			var got map[string]any
			if err := json.Unmarshal([]byte(a.body), &got); err != nil {
				t.Fatal(err)
			}
			want := map[string]any{"access_token": got["access_token"], "token_type": "Bearer", "expires_in": 600.0,
				"scope": "read"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			checkHeaders(t, a, 200, map[string]string{"Content-Type": "application/json",
				"Access-Control-Allow-Origin": ""})
			if a.ContentLength != int64(len(a.body)) {
				t.Errorf("Content-Length %d", a.ContentLength)
			}
		})
	}
}

func (c *checklist) scopeInAnswer(t *testing.T) {
	e := c.edge(t)
	rows := []struct {
		name string
		form []string
		want any // of scope in the answer and in the token; nil: it is not there
	}{
		{"none asked for, the default", nil, "read"},
		{"as asked for", []string{"scope", "write"}, "write"},
		{"in the order asked for", []string{"scope", "write read"}, "write read"},
		{"twice the same is once", []string{"scope", "read write read"}, "read write"},
		{"none to be had", []string{"resource", plain}, nil},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			a := e.askAs(t, row.form...)
			claims, _ := grantedToken(t, a)
			var got map[string]any
			if err := json.Unmarshal([]byte(a.body), &got); err != nil {
				t.Fatal(err)
			}
			if got["scope"] != row.want || claims["scope"] != row.want {
				t.Errorf("scope %v, in the token %v, want %v", got["scope"], claims["scope"], row.want)
			}
		})
	}
}

func (c *checklist) defaultScope(t *testing.T) {
	e := c.edge(t)
	const noDefault = "the client has no default scope: ask for one"
	undecided := []string{"Authorization", basic("undecided", secret)}
	for name, pairs := range map[string][]string{"absent": nil, "empty": {"scope", ""}} {
		t.Run(name+", the default", func(t *testing.T) {
			if claims, _ := grantedToken(t, e.askAs(t, pairs...)); claims["scope"] != "read" {
				t.Errorf("claims %v", claims)
			}
		})
		t.Run(name+", no default", func(t *testing.T) {
			a := e.ask(t, form(append(pairs, "resource", api)...), undecided...)
			checkRefused(t, a, 400, "invalid_scope", noDefault)
		})
		t.Run(name+", the default of another resource is none here", func(t *testing.T) {
			checkRefused(t, e.askAs(t, append(pairs, "resource", legacy)...), 400, "invalid_scope", noDefault)
		})
	}
}

func (c *checklist) badScope(t *testing.T) {
	e := c.edge(t)
	const notAllowed, malformed = "a scope is unknown or not allowed", "the scope is malformed"
	rows := []struct{ name, scope, description string }{
		{"unknown", "nonsense", notAllowed},
		{"forbidden", "admin", notAllowed},
		{"one of two forbidden", "read admin", notAllowed},
		{"of another resource", "use", notAllowed},
		{"in another case", "READ", notAllowed},
		{"begins alike", "reads", notAllowed},
		{"with a comma", "read,write", notAllowed},
		{"a star", "*", notAllowed},
		{"a space", " ", malformed},
		{"a space before", " read", malformed},
		{"a space behind", "read ", malformed},
		{"two spaces", "read  write", malformed},
		{"a tab", "read\twrite", malformed},
		{"a line break", "read\nwrite", malformed},
		{"NUL", "read\x00", malformed},
		{"DEL", "read\x7f", malformed},
		{"a quote", `"read"`, malformed},
		{"a backslash", `read\`, malformed},
		{"é", "réad", malformed},
		{"a letter that looks like e", "r\u0435ad", malformed},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			checkRefused(t, e.askAs(t, "scope", row.scope), 400, "invalid_scope", row.description)
		})
	}
	t.Run("where the resource has none", func(t *testing.T) {
		checkRefused(t, e.askAs(t, "resource", plain, "scope", "read"), 400, "invalid_scope", notAllowed)
	})
}

// errorsAreJSON has each code once, with all that may be in such an answer.
func (c *checklist) errorsAreJSON(t *testing.T) {
	e := c.edge(t)
	rows := []struct {
		code   string
		status int
		answer answer
	}{
		{"invalid_request", 400, e.askAs(t, "grant_type", "")},
		{"invalid_request", 413, e.askAs(t, "nonsense", strings.Repeat("a", 64<<10))},
		{"invalid_client", 401, e.ask(t, form())},
		{"unsupported_grant_type", 400, e.askAs(t, "grant_type", "password")},
		{"invalid_scope", 400, e.askAs(t, "scope", "admin")},
		{"invalid_target", 400, e.askAs(t, "resource", "https://nobody.example.com")},
	}
	for _, row := range rows {
		t.Run(row.code, func(t *testing.T) {
			checkHeaders(t, row.answer, row.status, map[string]string{"Content-Type": "application/json"})
			var got map[string]string
			if err := json.Unmarshal([]byte(row.answer.body), &got); err != nil {
				t.Fatal(err)
			}
			members := slices.Sorted(maps.Keys(got))
			if got["error"] != row.code || !slices.Equal(members, []string{"error", "error_description"}) {
				t.Errorf("body %q", row.answer.body)
			}
		})
	}
}

func (c *checklist) grantTypes(t *testing.T) {
	e := c.edge(t)
	const only = "the only grant_type is client_credentials"
	others := []string{
		"authorization_code", "refresh_token", "password", "implicit", "none",
		"urn:ietf:params:oauth:grant-type:jwt-bearer",
		"urn:ietf:params:oauth:grant-type:token-exchange", "Client_Credentials", "client_credentials ",
		"client_credentials\x00",
		"client_credentials password", "client-credentials", " ", "é",
	}
	for _, grant := range others {
		t.Run("unsupported "+grant, func(t *testing.T) {
			a := e.askAs(t, "grant_type", grant, "code", "abc", "refresh_token", "abc", "username", "a", "password",
				"b")
			checkRefused(t, a, 400, "unsupported_grant_type", only)
		})
	}
	for name, body := range map[string]string{"absent": "scope=read", "empty": "grant_type=", "no body": "",
		"another case": "Grant_Type=client_credentials"} {
		t.Run(name, func(t *testing.T) {
			a := e.send(t, "POST", "", body, "Authorization", basic("billing", secret), "Content-Type", urlencoded)
			checkRefused(t, a, 400, "invalid_request", noGrantType)
		})
	}
	for client := range map[string]bool{"billing": true, "one": true} {
		t.Run("for every client: "+client, func(t *testing.T) {
			grantedToken(t, e.ask(t, form(), "Authorization", basic(client, secret)))
		})
	}
}

// neverStored looks at every answer of the endpoint, and at those that need an issuer in trouble.
func (c *checklist) neverStored(t *testing.T) {
	c.provoke(t)
	seen := make(map[int]bool)
	for _, x := range c.exchanges {
		seen[x.answer.StatusCode] = true
		for name, want := range map[string]string{"Cache-Control": "no-store", "Pragma": "no-cache"} {
			if got := x.answer.Header.Values(name); len(got) != 1 || got[0] != want {
				t.Errorf("status %d, body %q: %s %q", x.answer.StatusCode, x.answer.body, name, got)
			}
		}
	}
	if diff := cmp.Diff([]int{200, 400, 401, 405, 413, 429, 500, 503}, slices.Sorted(maps.Keys(seen))); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

// provoke gets an answer of each status, however little of the checklist has run.
func (c *checklist) provoke(t *testing.T) {
	e := c.edge(t)
	e.askAs(t)
	e.askAs(t, "grant_type", "")
	e.ask(t, form())
	e.send(t, "GET", "", "")
	e.askAs(t, "nonsense", strings.Repeat("a", 64<<10))
	trouble := map[string]func(*server.Config){
		"one request and no more": func(cfg *server.Config) { cfg.Addresses = buckets(t, 1, cfg.Now) },
		"no slot":                 func(cfg *server.Config) { cfg.InFlight = make(limit.Slots) },
		"no key": func(cfg *server.Config) {
			cfg.Token = func(context.Context, oauth.Request) (oauth.Response, oauth.Record, error) {
				return oauth.Response{}, oauth.Record{}, keys.ErrNoKeys
			}
		},
		"a store that is away": func(cfg *server.Config) {
			cfg.Token = func(context.Context, oauth.Request) (oauth.Response, oauth.Record, error) {
				return oauth.Response{}, oauth.Record{}, &oauth.Error{
					Code: oauth.TemporarilyUnavailable, Description: "a phrase", Cause: errors.New("for the log")}
			}
		},
		"a client that asks too often": func(cfg *server.Config) {
			cfg.Token = func(context.Context, oauth.Request) (oauth.Response, oauth.Record, error) {
				return oauth.Response{}, oauth.Record{}, &oauth.Error{
					Code: oauth.TemporarilyUnavailable, Description: "a phrase", Cause: oauth.ErrLimited}
			}
		},
		"a panic": func(cfg *server.Config) {
			cfg.Token = func(context.Context, oauth.Request) (oauth.Response, oauth.Record, error) { panic("trouble") }
		},
	}
	for _, change := range trouble {
		e := c.edge(t, change)
		e.askAs(t)
		e.askAs(t)
	}
}

// protocolWords, and parts of them, may be in an answer whoever sent them.
const protocolWords = "client_credentials grant_type client_id client_secret client_assertion client_assertion_type " +
	"resource " + urn + " " + urlencoded + " application/json"

// descriptions looks at every refusal of the endpoint.
func (c *checklist) descriptions(t *testing.T) {
	c.provoke(t)
	outside := func(r rune) bool { return r < 0x20 || r > 0x7E || r == '"' || r == '\\' }
	for _, x := range c.exchanges {
		var body struct {
			Description string `json:"error_description"`
		}
		isJSON := json.Unmarshal([]byte(x.answer.body), &body) == nil
		if x.answer.StatusCode == http.StatusOK {
			continue
		}
		if isJSON && (body.Description == "" || strings.ContainsFunc(body.Description, outside)) {
			t.Errorf("description %q", body.Description)
		}
		whole := x.answer.body + strings.Join(slices.Concat(slices.Collect(maps.Values(x.answer.Header))...), "\n")
		for _, sent := range x.sent {
			const shortest = 6 // shorter ones are words of the phrase by chance
			if len(sent) >= shortest && !strings.Contains(protocolWords, sent) &&
				(strings.Contains(whole, sent) || strings.Contains(whole,
					base64.StdEncoding.EncodeToString([]byte(sent)))) {
				t.Errorf("answer %q has %q of the request", whole, sent)
			}
		}
	}
}
