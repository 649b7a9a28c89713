package tokens_test

import (
	"net/http"
	"strings"
	"testing"

	"example.com/signet/client/tokens"
	"example.com/signet/keys/keystest"
)

func TestNew(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		edit func(*tokens.Config)
		want string // the error; "" for none
	}{
		{"complete", func(*tokens.Config) {}, ""},
		{"with origin", func(c *tokens.Config) { c.Origin = "https://orders.example.com" }, ""},
		{"with origin on loopback", func(c *tokens.Config) { c.Origin = "http://[::1]:9000/" }, ""},
		{"with resource", func(c *tokens.Config) { c.Resource = "https://orders.example.com/v1" }, ""},
		{"with resource that is no address", func(c *tokens.Config) { c.Resource = "urn:example:orders" }, ""},
		{"issuer on loopback", func(c *tokens.Config) { c.Issuer = "http://localhost:8080" }, ""},

		{"token endpoint", func(c *tokens.Config) { c.TokenEndpoint = "https://issuer.example.com/token?tenant=1" }, ""},
		{"token endpoint on loopback", func(c *tokens.Config) { c.TokenEndpoint = "http://127.0.0.1:8080/token" }, ""},
		{"client id with odd characters", func(c *tokens.Config) { c.ClientID = "https://a:b@c/ ?&=%" }, ""},
		{"secret", func(c *tokens.Config) { c.Credential = tokens.Secret("a b") }, ""},
		{"secret file that is not there yet", func(c *tokens.Config) { c.Credential = tokens.SecretFile("/nonexistent") }, ""},
		{"assertion file without client id", func(c *tokens.Config) {
			c.Credential, c.ClientID = tokens.AssertionFile("/nonexistent"), ""
		}, ""},

		{"empty", func(c *tokens.Config) { *c = tokens.Config{} }, "tokens: no issuer"},
		{"no client id", func(c *tokens.Config) { c.ClientID = "" }, "tokens: no client id"},
		{"no key", func(c *tokens.Config) { c.Credential = nil }, "tokens: no credential"},
		{"key nil", func(c *tokens.Config) { c.Credential = tokens.PrivateKey(nil) }, "tokens: no key"},
		{"secret empty", func(c *tokens.Config) { c.Credential = tokens.Secret("") }, "tokens: client secret: empty"},
		{"secret with line break", func(c *tokens.Config) { c.Credential = tokens.Secret("SECRET\n") },
			"tokens: client secret: not one line of printable ASCII"},
		{"secret not ASCII", func(c *tokens.Config) { c.Credential = tokens.Secret("SECRETé") },
			"tokens: client secret: not one line of printable ASCII"},
		{"secret too long", func(c *tokens.Config) { c.Credential = tokens.Secret(strings.Repeat("SECRET", 1<<12)) },
			"tokens: client secret: longer than 16384 octets"},
		{"secret without client id", func(c *tokens.Config) {
			c.Credential, c.ClientID = tokens.Secret("SECRET"), ""
		}, "tokens: no client id"},
		{"secret file without name", func(c *tokens.Config) { c.Credential = tokens.SecretFile("") }, "tokens: no secret file"},
		{"secret file without client id", func(c *tokens.Config) {
			c.Credential, c.ClientID = tokens.SecretFile("/nonexistent"), ""
		}, "tokens: no client id"},
		{"assertion file without name", func(c *tokens.Config) { c.Credential = tokens.AssertionFile("") }, "tokens: no assertion file"},
		{"client id with line break", func(c *tokens.Config) { c.ClientID = "a\r\nX: y" }, `tokens: "a\r\nX: y" is no client id`},
		{"client id with terminal escape", func(c *tokens.Config) { c.ClientID = "\x1b[2J" }, `tokens: "\x1b[2J" is no client id`},
		{"client id not ASCII", func(c *tokens.Config) { c.ClientID = "é" }, `tokens: "é" is no client id`},
		{"client id of an assertion file", func(c *tokens.Config) {
			c.Credential, c.ClientID = tokens.AssertionFile("/nonexistent"), "a\x00"
		}, `tokens: "a\x00" is no client id`},
		{"token endpoint relative", func(c *tokens.Config) { c.TokenEndpoint = "/oauth2/token" },
			`tokens: token endpoint: URL not allowed: "/oauth2/token" is not absolute`},
		{"token endpoint on plain http", func(c *tokens.Config) { c.TokenEndpoint = "http://issuer.example.com/token" },
			`tokens: token endpoint: URL not allowed: "http://issuer.example.com/token" is neither https nor loopback`},
		{"token endpoint almost loopback", func(c *tokens.Config) { c.TokenEndpoint = "http://127.0.0.1.evil.example/" },
			`tokens: token endpoint: URL not allowed: "http://127.0.0.1.evil.example/" is neither https nor loopback`},
		{"token endpoint with password", func(c *tokens.Config) { c.TokenEndpoint = "https://user:SECRET@issuer.example.com/" },
			`tokens: token endpoint: URL not allowed: it has a user or fragment`},
		{"token endpoint a file", func(c *tokens.Config) { c.TokenEndpoint = "file:///etc/passwd" },
			`tokens: token endpoint: URL not allowed: "file:///etc/passwd" is not absolute`},
		{"issuer with query", func(c *tokens.Config) { c.Issuer = "https://issuer.example.com/?a=b" },
			`tokens: issuer: URL not allowed: "https://issuer.example.com/?a=b" is no issuer identifier: it has a query or fragment`},
		{"issuer relative", func(c *tokens.Config) { c.Issuer = "issuer.example.com" },
			`tokens: issuer: URL not allowed: "issuer.example.com" is not absolute`},
		{"issuer on plain http", func(c *tokens.Config) { c.Issuer = "http://issuer.example.com" },
			`tokens: issuer: URL not allowed: "http://issuer.example.com" is neither https nor loopback`},
		{"issuer with user", func(c *tokens.Config) { c.Issuer = "https://user:SECRET@issuer.example.com" },
			`tokens: issuer: URL not allowed: it has a user or fragment`},
		{"issuer with fragment", func(c *tokens.Config) { c.Issuer = "https://issuer.example.com/#a" },
			`tokens: issuer: URL not allowed: it has a user or fragment`},
		{"scope empty", func(c *tokens.Config) { c.Scope = []string{""} }, `tokens: "" is no scope value`},
		{"scope with space", func(c *tokens.Config) { c.Scope = []string{"a", "b c"} }, `tokens: "b c" is no scope value`},
		{"scope with quote", func(c *tokens.Config) { c.Scope = []string{`a"`} }, `tokens: "a\"" is no scope value`},
		{"scope with backslash", func(c *tokens.Config) { c.Scope = []string{`a\`} }, `tokens: "a\\" is no scope value`},
		{"scope with line break", func(c *tokens.Config) { c.Scope = []string{"a\n"} }, `tokens: "a\n" is no scope value`},
		{"scope not ASCII", func(c *tokens.Config) { c.Scope = []string{"é"} }, `tokens: "é" is no scope value`},
		{"origin relative", func(c *tokens.Config) { c.Origin = "orders.example.com" },
			`tokens: origin: URL not allowed: "orders.example.com" is not absolute`},
		{"origin without scheme", func(c *tokens.Config) { c.Origin = "//orders.example.com" },
			`tokens: origin: URL not allowed: "//orders.example.com" is neither https nor loopback`},
		{"origin on plain http", func(c *tokens.Config) { c.Origin = "http://orders.example.com" },
			`tokens: origin: URL not allowed: "http://orders.example.com" is neither https nor loopback`},
		{"origin of another scheme", func(c *tokens.Config) { c.Origin = "ftp://orders.example.com" },
			`tokens: origin: URL not allowed: "ftp://orders.example.com" is neither https nor loopback`},
		{"origin malformed", func(c *tokens.Config) { c.Origin = "https://[::1" },
			`tokens: origin: URL not allowed: not a URL`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cfg := tokens.Config{Issuer: "https://issuer.example.com", ClientID: "billing", Credential: tokens.PrivateKey(keystest.Key(keystest.ES256))}
			test.edit(&cfg)
			source, err := tokens.New(cfg)
			if test.want == "" {
				if err != nil || source == nil {
					t.Errorf("got %v and error %v", source, err)
				}
				return
			}
			if err == nil || err.Error() != test.want || source != nil {
				t.Errorf("got error %v\nwant      %s", err, test.want)
			}
		})
	}
}

func TestNewAsksNothing(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	newSource(t, config(t, i))
	if i.MetadataAsked() != 0 {
		t.Error("New asked the issuer")
	}
}

// The caller's client keeps its own redirect policy, for its own requests.
func TestCallersClientIsNotChanged(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	cfg := config(t, i)
	wantToken(t, newSource(t, cfg), "token-1")
	if cfg.HTTPClient.CheckRedirect != nil || http.DefaultClient.CheckRedirect != nil {
		t.Error("the caller's http.Client was changed")
	}
}

func TestDefaultClient(t *testing.T) {
	t.Parallel()
	cfg := config(t, newIssuer(t))
	cfg.HTTPClient = nil
	wantToken(t, newSource(t, cfg), "token-1")
}
