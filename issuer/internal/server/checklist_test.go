package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/issuer/internal/server"
	"example.com/signet/keys/keystest"
)

// lastStatement is the number of the last statement about an issuer; they are numbered from I01.
const lastStatement = 44

// statements say what must hold of an issuer, each with its test at the HTTP edge. The two at the end look at every
// answer that the others provoked, and so come last.
var statements = []struct {
	number string
	text   string
	check  func(*checklist, *testing.T)
}{
	{"I01", "only POST; anything else is 405 with Allow", (*checklist).onlyPost},
	{"I02", "a parameter without value is absent, an unknown one ignored", (*checklist).emptyAndUnknown},
	{"I03", "a repeated parameter is invalid_request", (*checklist).repeated},
	{"I04", "the body is a form in UTF-8; any other is 400", (*checklist).onlyForms},
	{"I05", "both halves of Basic credentials are form-decoded", (*checklist).basicDecoded},
	{"I06", "credentials in the URI are refused", (*checklist).notInTheURI},
	{"I07", "two ways of authenticating are invalid_request", (*checklist).oneWay},
	{"I08", "guessing is limited, for each address by itself", (*checklist).guessing},
	{"I09", "client_credentials needs an authenticated client", (*checklist).authenticated},
	{"I10", "there is no refresh token", (*checklist).noRefreshToken},
	{"I11", "200 is JSON with access_token, token_type and expires_in", (*checklist).granted},
	{"I13", "the answer has the scope, whether or not it differs from what was asked for", (*checklist).scopeInAnswer},
	{"I14", "no scope asked for: the client's default, or invalid_scope", (*checklist).defaultScope},
	{"I15", "an unknown, forbidden or malformed scope is invalid_scope", (*checklist).badScope},
	{"I16", "errors are JSON with a code, 400 where no other status is due", (*checklist).errorsAreJSON},
	{"I17", "failed authentication is 401 invalid_client with a challenge", (*checklist).challenge},
	{"I18", "no grant_type, and others; unauthorized_client cannot arise: there is one grant, for every client",
		(*checklist).grantTypes},
	{"I20", "unknown client and wrong secret: the same answer; clients has the test that the same work is done",
		(*checklist).sameAnswer},
	{"I21", "client_assertion_type is exactly the URN", (*checklist).assertionType},
	{"I22", "iss, sub and client_id are one client", (*checklist).assertionClient},
	{"I23", "aud is our identifier, compared as strings, alone", (*checklist).assertionAudience},
	{"I24", "typ is client-authentication+jwt, JWT or absent", (*checklist).assertionHeaderType},
	{"I25", "exp, at most 5 minutes ahead; nbf and iat not in the future", (*checklist).assertionTimes},
	{"I26", "jti is spent once for each client", (*checklist).assertionSpent},
	{"I27", "signed by a key of this client, with the algorithm of that key", (*checklist).assertionSigned},
	{"I28", "every failure is the same invalid_client, but the audience is named; the log has the reason",
		(*checklist).assertionFailures},
	{"I29", "resource is an absolute URI without fragment, and one that the client may have", (*checklist).resource},
	{"I30", "no resource asked for: the only or default one, else invalid_target", (*checklist).defaultResource},
	{"I31", "typ is at+jwt unless the resource wants JWT, alg never none, RS256 to be had", (*checklist).tokenHeader},
	{"I32", "all claims of an access token, each of its type", (*checklist).tokenClaims},
	{"I33", "jti is unique and has 128 random bits", (*checklist).tokenIDs},
	{"I34", "exp - iat is the resource's lifetime, never above the longest", (*checklist).tokenLifetime},
	{"I35", "a client's id cannot look like another subject", (*checklist).clientIDs},
	{"I36", "keys is an array, without a private member", (*checklist).noPrivateMembers},
	{"I37", "kids are distinct thumbprints, with alg and use", (*checklist).thumbprints},
	{"I38", "EC coordinates have 32 octets, RSA 2048 bits, e no leading zero", (*checklist).keyMembers},
	{"I39", "the JWK Set's headers, 304 and HEAD", (*checklist).jwksHeaders},
	{"I40", "never 200 with an empty set", (*checklist).noKeys},
	{"I41", "issuer is the configured one; the settings take no other than https without query and fragment",
		(*checklist).metadataIssuer},
	{"I42", "the metadata are at both well-known places and at no other", (*checklist).metadataPlaces},
	{"I43", "no empty arrays, grants and algorithms listed, never none", (*checklist).metadataLists},
	{"I44", "response_types_supported is there and not empty", (*checklist).responseTypes},

	{"I12", "no-store and no-cache on every answer of the endpoint", (*checklist).neverStored},
	{"I19", "error_description keeps to its characters and echoes nothing", (*checklist).descriptions},
}

func TestChecklist(t *testing.T) {
	t.Parallel()
	missing := make(map[string]bool)
	var inOrder []string
	for n := range lastStatement {
		inOrder = append(inOrder, fmt.Sprintf("I%02d", n+1))
		missing[inOrder[n]] = true
	}
	c := &checklist{registry: checklistRegistry(t)}
	for _, s := range statements {
		if !missing[s.number] {
			t.Errorf("statement %s (%s) is there twice, or unknown", s.number, s.text)
		}
		delete(missing, s.number)
		t.Run(s.number, func(t *testing.T) {
			t.Log(s.text)
			s.check(c, t)
		})
	}
	list := "none"
	for _, number := range inOrder {
		if missing[number] {
			list = strings.TrimPrefix(list+" "+number, "none ")
		}
	}
	t.Logf("statements without a test: %s", list)
}

// checklist is what the statements have in common.
type checklist struct {
	registry  *clients.Registry
	exchanges []exchange // with the token endpoint
}

// exchange is what a caller wrote, piece by piece, and the answer to it.
type exchange struct {
	sent   []string
	answer answer
}

// The leeway of the checklist's issuer, and its resources.
const (
	leeway    = 30 * time.Second
	api       = "https://api.example.com"
	legacy    = "urn:example:legacy"
	plain     = "https://plain.example.com"
	oddID     = "shop/eu~2@x.y-z_"
	oddSecret = "p+s%: /=&é"
)

// Secrets are the SHA-256 of their names in capitals: one client for each way of authenticating, and some that lack
// something.
const checklistYAML = `resources:
  - {audience: 'https://api.example.com', scopes: [read, write, admin]}
  - {audience: 'urn:example:legacy', scopes: [use], algorithm: RS256, token_type: JWT, token_lifetime: 1h}
  - {audience: 'https://plain.example.com', token_lifetime: 1s}
clients:
  - id: billing
    secrets: [{sha256: SECRET}]
    allow:
      - {resource: 'https://api.example.com', scopes: [read, write], default_scopes: [read]}
      - {resource: 'urn:example:legacy', scopes: [use]}
      - {resource: 'https://plain.example.com'}
    default_resource: https://api.example.com
  - id: robot
    keys: [{file: es256-other.pub}]
    allow: [{resource: 'https://api.example.com', scopes: [read], default_scopes: [read]}]
  - id: rsa
    keys: [{file: rs256-other.pub}]
    allow: [{resource: 'urn:example:legacy', scopes: [use], default_scopes: [use]}]
  - id: both
    keys: [{file: es256-other.pub}, {file: rs256-other.pub}]
    allow: [{resource: 'https://plain.example.com'}]
  - id: one
    secrets: [{sha256: SECRET}]
    allow: [{resource: 'https://plain.example.com'}]
  - id: undecided
    secrets: [{sha256: SECRET}]
    allow: [{resource: 'https://api.example.com', scopes: [read]}, {resource: 'https://plain.example.com'}]
  - id: shop/eu~2@x.y-z_
    secrets: [{sha256: ODD}]
    allow: [{resource: 'https://plain.example.com'}]
  - id: disabled
    enabled: false
    keys: [{file: es256-other.pub}]
    secrets: [{sha256: SECRET}]
    allow: [{resource: 'https://plain.example.com'}]
  - id: expiring
    secrets: [{sha256: SECRET, expires: 2126-01-01T00:00:00Z}]
    allow: [{resource: 'https://plain.example.com'}]
`

func checklistRegistry(t testing.TB) *clients.Registry {
	t.Helper()
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	registry, err := registryOf(t, strings.NewReplacer("SECRET", hash(secret), "ODD",
		hash(oddSecret)).Replace(checklistYAML))
	if err != nil {
		t.Fatal(err)
	}
	return registry
}

// registryOf reads a registry file with that text, beside which the clients' keys are.
func registryOf(t testing.TB, text string) (*clients.Registry, error) {
	t.Helper()
	dir := t.TempDir()
	contents := map[string][]byte{"registry.yaml": []byte(text)}
	for _, name := range []string{keystest.ES256Other, keystest.RS256Other} {
		public, err := keystest.Key(name).Public().MarshalPEM()
		if err != nil {
			t.Fatal(err)
		}
		contents[name+".pub"] = public
	}
	for name, content := range contents {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return clients.ReadFile(filepath.Join(dir, "registry.yaml"), time.Now())
}

// edge is a site whose token endpoint has the checklist's clients, and where every exchange with it is kept.
type edge struct {
	*site
	c   *checklist
	ids int // of assertions
}

func (c *checklist) edge(t *testing.T, change ...func(*server.Config)) *edge {
	t.Helper()
	own := func(cfg *server.Config) {
		endpoint, err := oauth.New(oauth.Config{
			Issuer:   issuer,
			Registry: func() oauth.Registry { return c.registry },
			Keys:     cfg.Ring(),
			Spent:    newSpent(cfg.Now),
			Leeway:   leeway,
			Now:      cfg.Now,
		})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Token = endpoint.Token
		cfg.Addresses = buckets(t, 1_000_000, cfg.Now)
	}
	return &edge{site: newSite(t, append([]func(*server.Config){own}, change...)...), c: c}
}

// ask sends a form to the token endpoint.
func (e *edge) ask(t *testing.T, form url.Values, headers ...string) answer {
	t.Helper()
	var sent []string
	for name, values := range form {
		sent = append(append(sent, name), values...)
	}
	return e.kept(sent, headers, e.post(t, form, headers...))
}

// askAs is ask as the client named billing.
func (e *edge) askAs(t *testing.T, pairs ...string) answer {
	t.Helper()
	return e.ask(t, form(pairs...), "Authorization", basic("billing", secret))
}

// send sends what is no proper request to the token endpoint.
func (e *edge) send(t *testing.T, method, query, body string, headers ...string) answer {
	t.Helper()
	sent := append(strings.FieldsFunc(query+"&"+body, func(r rune) bool { return r == '&' || r == '=' }), method)
	return e.kept(sent, headers, e.do(t, e.request(t, method, "/oauth2/token"+query, body, headers...)))
}

func (e *edge) kept(sent, headers []string, a answer) answer {
	for i := 1; i < len(headers); i += 2 {
		sent = append(sent, headers[i])
		if encoded, isBasic := strings.CutPrefix(headers[i], "Basic "); isBasic {
			decoded, _ := base64.StdEncoding.DecodeString(encoded)
			sent = append(append(sent, encoded, string(decoded)), strings.Split(string(decoded), ":")...)
		}
	}
	e.c.exchanges = append(e.c.exchanges, exchange{sent, a})
	return a
}

const urlencoded = "application/x-www-form-urlencoded"

// failed is what a caller is told whose authentication failed.
const failed = "client authentication failed"

// checkRefused checks a refusal to the octet.
func checkRefused(t *testing.T, a answer, status int, code, description string) {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("status %d, want %d", a.StatusCode, status)
	}
	if want := errorBody(code, description) + "\n"; a.body != want && a.Request.Method != http.MethodHead {
		t.Errorf("body %q, want %q", a.body, want)
	}
	if got := a.Header.Values("Content-Type"); len(got) != 1 || got[0] != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
}

// grantedToken checks that a token was granted, and returns the claims of it and its header.
func grantedToken(t *testing.T, a answer) (claims, header map[string]any) {
	t.Helper()
	var granted struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(a.body), &granted); err != nil || a.StatusCode != http.StatusOK {
		t.Fatalf("status %d, body %q: %v", a.StatusCode, a.body, err)
	}
	verified, err := keystest.Set(keystest.ES256, keystest.RS256, keystest.ES256Other).Verify(granted.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(verified.Payload, &claims); err != nil {
		t.Fatal(err)
	}
	segment, _, _ := strings.Cut(granted.AccessToken, ".")
	text, _ := base64.RawURLEncoding.DecodeString(segment)
	if err := json.Unmarshal(text, &header); err != nil {
		t.Fatal(err)
	}
	return claims, header
}

// claims are those of a good assertion of the client named robot.
func (e *edge) claims() keystest.Object {
	now := e.clock.Now().Unix()
	e.ids++
	return keystest.Object{
		{Name: "iss", Value: `"robot"`},
		{Name: "sub", Value: `"robot"`},
		{Name: "aud", Value: strconv.Quote(issuer)},
		{Name: "iat", Value: strconv.FormatInt(now, 10)},
		{Name: "exp", Value: strconv.FormatInt(now+60, 10)},
		{Name: "jti", Value: fmt.Sprintf(`"assertion-%d"`, e.ids)},
	}
}

// askAssertion asks with an assertion.
func (e *edge) askAssertion(t *testing.T, assertion string, pairs ...string) answer {
	t.Helper()
	return e.ask(t, form(append(pairs, "client_assertion_type", urn, "client_assertion", assertion)...))
}

// assertionHeader is the header of an assertion that the named key signs.
func assertionHeader(name string) keystest.Object {
	return keystest.AccessHeader(name).With("typ", `"client-authentication+jwt"`)
}

// forgeAssertion is an assertion with these claims, by robot's key.
func forgeAssertion(claims keystest.Object) string {
	return keystest.Forge(keystest.ES256Other, assertionHeader(keystest.ES256Other).String(), claims.String())
}
