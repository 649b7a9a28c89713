package bearer_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/bearer"
	"example.com/signet/resource/verify"
)

// lastStatement is the number of the last statement about verifiers.
const lastStatement = 41

// statement is one of the things that must hold of a resource server, and how it is seen over HTTP. The tables of
// verifytest have many more rows for most of them.
type statement struct {
	number, text string
	check        func(c *checklist, t *testing.T)
}

// TestChecklist plays every statement by its number, each exactly once, and says which have no test.
func TestChecklist(t *testing.T) {
	t.Parallel()
	missing := make(map[string]bool)
	for n := range lastStatement {
		missing[fmt.Sprintf("V%02d", n+1)] = true
	}
	for _, s := range statements {
		if !missing[s.number] {
			t.Errorf("statement %s is there twice, or unknown", s.number)
		}
		delete(missing, s.number)
		t.Run(s.number, func(t *testing.T) {
			t.Log(s.text)
			s.check(newChecklist(t), t)
		})
	}
	if len(missing) > 0 {
		t.Errorf("statements without a test: %v", missing)
	}
}

// checklist is a guarded site and the issuer that it trusts, both on loopback, at a time that stands still.
type checklist struct {
	issuer         *keystest.Server
	clock          *keystest.Clock
	site           *httptest.Server
	header, claims keystest.Object // genuine, by keystest.ES256
	reasons        []error         // of the last request
}

func newChecklist(t *testing.T) *checklist {
	t.Helper()
	c := &checklist{clock: keystest.NewClock()}
	c.issuer = keystest.NewServer(keystest.Set(keystest.ES256, keystest.RS256))
	t.Cleanup(c.issuer.Close)
	verifier, err := verify.New(verify.Config{
		Issuer: c.issuer.Issuer(), Audience: keystest.Audience, Leeway: -1, Now: c.clock.Now,
		Fetch: verify.Fetch{MaxStale: time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(verifier.Close)
	metadata, err := bearer.NewMetadata(bearer.MetadataConfig{Resource: keystest.Audience})
	if err != nil {
		t.Fatal(err)
	}
	guard := bearer.Guard{Verifier: verifier, Metadata: metadata, Refused: func(_ *http.Request, reason error) {
		c.reasons = append(c.reasons, reason)
	}}
	mux := http.NewServeMux()
	mux.Handle(metadata.Path(), metadata)
	mux.Handle("/admin", guard.IsAuthorized(bearer.RequireScope("admin")(ok)))
	mux.Handle("/", guard.IsAuthorized(ok))
	c.site = httptest.NewServer(mux)
	t.Cleanup(c.site.Close)
	c.header = keystest.AccessHeader(keystest.ES256)
	c.claims = keystest.AccessClaims(c.issuer.Issuer(), keystest.Audience, c.clock.Now())
	c.accept(t, c.forge(c.header, c.claims)) // waits for the keys
	return c
}

var ok = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) })

func (c *checklist) forge(header, claims keystest.Object) string {
	return keystest.Forge(keystest.ES256, header.String(), claims.String())
}

// head and with are genuine but for one member of the header, and one claim.
func (c *checklist) head(name, value string) string {
	return c.forge(c.header.With(name, value), c.claims)
}
func (c *checklist) with(name, value string) string {
	return c.forge(c.header, c.claims.With(name, value))
}

func (c *checklist) at(d time.Duration) string { return fmt.Sprint(c.clock.Now().Add(d).Unix()) }

// get sends a request with these headers, given as name, value, name, value.
func (c *checklist) get(t *testing.T, path string, headers ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.site.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	c.reasons = nil
	resp, err := c.site.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp
}

func (c *checklist) accept(t *testing.T, tokens ...string) {
	t.Helper()
	for i, token := range tokens {
		if resp := c.get(t, "/", "Token", token); resp.StatusCode != http.StatusOK {
			t.Errorf("token %d: %d, %v", i, resp.StatusCode, c.reasons)
		}
	}
}

// refuse sends each token and wants 401 invalid_token for this reason.
func (c *checklist) refuse(t *testing.T, reason error, tokens ...string) {
	t.Helper()
	for i, token := range tokens {
		resp := c.get(t, "/", "Token", token)
		isInvalid := strings.Contains(resp.Header.Get("WWW-Authenticate"), `error="invalid_token"`)
		if resp.StatusCode != http.StatusUnauthorized || !isInvalid || len(c.reasons) != 1 || !errors.Is(c.reasons[0], reason) {
			t.Errorf("token %d: %d, %v, want %v", i, resp.StatusCode, c.reasons, reason)
		}
	}
}

// genuine is a token that nothing is wrong with.
func (c *checklist) genuine() string { return c.forge(c.header, c.claims) }

// publish makes the issuer answer with this text from now on, and the cool-down pass.
func (c *checklist) publish(text string) {
	c.issuer.Fail(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
	c.clock.Advance(time.Minute)
}
