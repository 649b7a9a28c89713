package bearer_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/bearer"
	"example.com/signet/resource/verify"
)

// hostile is a request at the edge of a resource server and the one answer that it must get. Most bring a token in the
// Token header; those that are about the request itself say how it is made.
type hostile struct {
	name    string
	token   string
	request func(r *http.Request) // instead of token
	status  int
	code    string // error in WWW-Authenticate; "" when there is none
}

// bad is a row whose token is refused as such.
func bad(name, token string) hostile {
	return hostile{name: name, token: token, status: http.StatusUnauthorized, code: "invalid_token"}
}

// fine is a control row: the token beside it that differs in what matters, and is accepted.
func fine(name, token string) hostile {
	return hostile{name: name, token: token, status: http.StatusOK}
}

// edge is a real resource server with a real verifier, over a real network, at a time that stands still.
type edge struct {
	issuer  *keystest.Server
	clock   *keystest.Clock
	server  *httptest.Server
	reasons []error // what Refused saw; one request at a time, so without a lock

	header, rsHeader keystest.Object // genuine, by keystest.ES256 and keystest.RS256
	claims           keystest.Object // genuine
}

// newEdge publishes the keys ES256 and RS256. ES256Other was published and is retired and removed; RS256Other never was.
func newEdge(t *testing.T) *edge {
	t.Helper()
	e := &edge{clock: keystest.NewClock(), header: keystest.AccessHeader(keystest.ES256), rsHeader: keystest.AccessHeader(keystest.RS256)}
	e.issuer = keystest.NewServer(keystest.Set(keystest.ES256, keystest.RS256, keystest.ES256Other))
	t.Cleanup(e.issuer.Close)
	e.claims = keystest.AccessClaims(e.issuer.Issuer(), keystest.Audience, e.clock.Now())
	verifier, err := verify.New(verify.Config{Issuer: e.issuer.Issuer(), Audience: keystest.Audience, Leeway: -1, Now: e.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(verifier.Close)
	guard := bearer.Guard{Verifier: verifier, Refused: func(_ *http.Request, reason error) { e.reasons = append(e.reasons, reason) }}
	e.server = httptest.NewServer(guard.IsAuthorized(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := bearer.ClaimsFrom(r.Context())
		_, _ = io.WriteString(w, claims.Subject)
	})))
	t.Cleanup(e.server.Close)

	if a := e.send(t, fine("", keystest.AccessToken(keystest.ES256Other, e.claims))); a.status != http.StatusOK {
		t.Fatalf("the key that is about to be removed: %d", a.status) // this waited for the first fetch
	}
	e.issuer.Publish(keystest.Set(keystest.ES256, keystest.RS256))
	e.clock.Advance(30 * time.Second)
	e.send(t, bad("", e.forge(e.header.With("kid", `"unknown"`), e.claims))) // the one fetch that the cool-down allows
	e.claims = keystest.AccessClaims(e.issuer.Issuer(), keystest.Audience, e.clock.Now())
	return e
}

// forge signs with keystest.ES256 whatever header and claims say.
func (e *edge) forge(header, claims keystest.Object) string {
	return keystest.Forge(keystest.ES256, header.String(), claims.String())
}

// genuine is a token that nothing is wrong with.
func (e *edge) genuine() string { return e.forge(e.header, e.claims) }

func (e *edge) withHeader(name, value string) string {
	return e.forge(e.header.With(name, value), e.claims)
}
func (e *edge) withClaim(name, value string) string {
	return e.forge(e.header, e.claims.With(name, value))
}
func (e *edge) withoutClaim(name string) string { return e.forge(e.header, e.claims.Without(name)) }

// payload is a genuinely signed token with exactly this payload.
func (e *edge) payload(text string) string {
	return keystest.Forge(keystest.ES256, e.header.String(), text)
}

// at is the moment d from now, as a claim.
func (e *edge) at(d time.Duration) string { return fmt.Sprint(e.clock.Now().Add(d).Unix()) }

// answered is an answer and how long it took.
type answered struct {
	status int
	header http.Header
	body   string
	took   time.Duration
	reason string // the text that Refused saw
}

func (e *edge) send(t *testing.T, row hostile) answered {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.server.URL+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if row.request != nil {
		row.request(r)
	} else {
		r.Header.Set("Token", row.token)
	}
	e.reasons = nil
	start := time.Now()
	resp, err := e.server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answered{status: resp.StatusCode, header: resp.Header, body: string(body), took: time.Since(start)}
	if len(e.reasons) > 1 {
		t.Errorf("Refused was called %d times", len(e.reasons))
	}
	for _, reason := range e.reasons {
		a.reason = reason.Error()
	}
	return a
}

// fixed are the challenge and the body by error code: all that an answer says.
var fixed = map[string]struct{ challenge, body string }{
	"":                {"Bearer", "an access token is needed\n"},
	"invalid_token":   {invalidToken, "the access token is not valid\n"},
	"invalid_request": {invalidRequest, "send exactly one access token\n"},
}

func (e *edge) check(t *testing.T, row hostile) {
	t.Helper()
	a := e.send(t, row)
	if a.status != row.status {
		t.Fatalf("status %d (%s), want %d", a.status, a.reason, row.status)
	}
	if a.took > time.Second {
		t.Errorf("took %v", a.took)
	}
	if row.status == http.StatusOK {
		if a.body != "billing" || a.reason != "" || a.header["Www-Authenticate"] != nil {
			t.Errorf("let through as %q, reason %q, %v", a.body, a.reason, a.header)
		}
		return
	}
	want := fixed[row.code]
	if got := a.header["Www-Authenticate"]; len(got) != 1 || got[0] != want.challenge || a.body != want.body {
		t.Errorf("WWW-Authenticate %q and %q, want %q", got, a.body, want)
	}
	if a.reason == "" {
		t.Error("Refused was not called")
	}
	a.header.Del("WWW-Authenticate")
	for name, values := range a.header {
		if leak := sharedText(strings.Join(values, " "), row.token); leak != "" {
			t.Errorf("%q of the token is in %s: %s", leak, name, values)
		}
	}
	if leak := sharedText(a.reason, row.token); leak != "" {
		t.Errorf("%q of the token is in the reason: %s", leak, a.reason)
	}
}

// sharedText returns eight octets that text has in common with the token, or with what a segment of it encodes.
func sharedText(text, token string) string {
	const window = 8
	text = strings.ReplaceAll(text, "client_id", "…") // the name of a claim, which a rule may say
	sources := []string{token[:min(len(token), 1<<14)]}
	for segment := range strings.SplitSeq(sources[0], ".") {
		decoded, _ := base64.RawURLEncoding.DecodeString(segment)
		sources = append(sources, string(decoded))
	}
	for i := 0; i+window <= len(text); i++ {
		for _, source := range sources {
			if strings.Contains(source, text[i:i+window]) {
				return text[i : i+window]
			}
		}
	}
	return ""
}

// TestHostile is the list of what a resource server must withstand: every class of attack on a token, at the HTTP edge,
// with the exact answer, in less than a second, without a byte of the token in answer or log, and without one fetch
// more than the cool-down allows.
func TestHostile(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	classes := []struct {
		name string
		rows []hostile
	}{
		{"algorithm", e.algorithms(t)},
		{"signature", e.signatures(t)},
		{"form", e.forms()},
		{"spelling", e.spellings()},
		{"header", e.headers(t)},
		{"kid", e.kids()},
		{"typ", e.types()},
		{"times", e.times()},
		{"identity", e.identities()},
		{"claims text", e.claimsTexts()},
		{"size", e.sizes()},
		{"issuer mix-up", e.mixUps(t)},
		{"transport", e.transports()},
	}
	refused, accepted := 0, 0
	for _, class := range classes {
		t.Run(class.name, func(t *testing.T) {
			for _, row := range class.rows {
				if row.status == http.StatusOK {
					accepted++
				} else {
					refused++
				}
				t.Run(row.name, func(t *testing.T) { e.check(t, row) })
				if row.request == nil && row.token != "" {
					t.Run(row.name+", as Bearer", func(t *testing.T) { e.check(t, row.asBearer()) })
				}
			}
		})
	}
	t.Logf("%d rows: %d refused, %d accepted; each token in both headers", refused+accepted, refused, accepted)
	if refused < 80 {
		t.Errorf("only %d hostile rows", refused)
	}
	if n := e.issuer.Fetches(); n != 2 { // the first, and one for the first unknown kid
		t.Errorf("%d fetches of the JWK Set, want 2", n)
	}
}

// asBearer is the row with its token in Authorization. There, space, tab and comma make the header malformed before the
// token is looked at.
func (h hostile) asBearer() hostile {
	token := h.token
	h.request = func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	if strings.ContainsAny(token, " \t,") {
		h.status, h.code = http.StatusBadRequest, "invalid_request"
	}
	return h
}
