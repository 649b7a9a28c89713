package tokens_test

import (
	"net/http"
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

		{"empty", func(c *tokens.Config) { *c = tokens.Config{} }, "tokens: no issuer"},
		{"no client id", func(c *tokens.Config) { c.ClientID = "" }, "tokens: no client id"},
		{"no key", func(c *tokens.Config) { c.Credential = nil }, "tokens: no credential"},
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

func TestDefaultClient(t *testing.T) { // not parallel: it uses the connections of http.DefaultClient
	cfg := config(t, newIssuer(t))
	cfg.HTTPClient = nil
	wantToken(t, newSource(t, cfg), "token-1")
}
