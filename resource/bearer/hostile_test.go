package bearer_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/bearer"
	"example.com/signet/resource/verify"
	"example.com/signet/resource/verify/verifytest"
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

// edge is a real resource server with a real verifier, over a real network, at a time that stands still.
type edge struct {
	*verifytest.Stage
	server  *httptest.Server
	token   string  // genuine
	reasons []error // what Refused saw; one request at a time, so without a lock
}

func newEdge(t *testing.T) *edge {
	t.Helper()
	e := &edge{Stage: verifytest.NewStage(t, verify.Config{})}
	e.token = keystest.AccessToken(keystest.ES256, keystest.AccessClaims(e.Issuer.Issuer(), keystest.Audience,
		e.Clock.Now()))
	guard := spy(e.Verifier, &e.reasons)
	e.server = httptest.NewServer(guard.IsAuthorized(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := bearer.ClaimsFrom(r.Context())
		_, _ = io.WriteString(w, claims.Subject())
	})))
	t.Cleanup(e.server.Close)
	return e
}

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
	if a.took > 5*time.Second { // a second, and room for a busy machine
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
	a.header.Del("WWW-Authenticate") // it is one of the fixed texts
	a.header.Del("Date")             // net/http's own
	for name, values := range a.header {
		if leak := verifytest.Leak(strings.Join(values, " "), row.token); leak != "" {
			t.Errorf("%q of the token is in %s: %s", leak, name, values)
		}
	}
	if leak := verifytest.Leak(a.reason, row.token); leak != "" {
		t.Errorf("%q of the token is in the reason: %s", leak, a.reason)
	}
}

// TestHostile is the list of what a resource server must withstand: every class of attack on a token, at the HTTP edge,
// with the exact answer, in less than a second, without a byte of the token in answer or log, and without one fetch
// more than the cool-down allows.
func TestHostile(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	fetches := e.Issuer.Fetches()
	refused, accepted, unsendable := 0, 0, 0
	count := func(row hostile) {
		if row.status == http.StatusOK {
			accepted++
		} else {
			refused++
		}
	}
	for _, r := range e.Rows {
		if !isSendable(r.Token) {
			unsendable++ // some of them are in TestHostileRawRequests
			continue
		}
		row := atTheEdge(r)
		count(row)
		t.Run(r.Class+"/"+r.Name, func(t *testing.T) { e.check(t, row) })
		t.Run(r.Class+"/"+r.Name+", as Bearer", func(t *testing.T) { e.check(t, row.asBearer()) })
	}
	for _, row := range e.transports() {
		count(row)
		t.Run("transport/"+row.name, func(t *testing.T) { e.check(t, row) })
	}
	t.Logf("%d rows: %d refused, %d accepted; each token in both headers; %d that no header can have",
		refused+accepted, refused, accepted, unsendable)
	if refused < 500 || accepted < 40 {
		t.Errorf("only %d refused and %d accepted", refused, accepted)
	}
	if n := e.Issuer.Fetches() - fetches; n != 1 {
		t.Errorf("%d fetches of the JWK Set in one cool-down, want 1 for the first unknown kid", n)
	}
}

// atTheEdge is what becomes of a token here: 200, or 401 whatever is wrong with it.
func atTheEdge(r verifytest.Row) hostile {
	if r.Want == nil {
		return hostile{name: r.Name, token: r.Token, status: http.StatusOK}
	}
	return hostile{name: r.Name, token: r.Token, status: http.StatusUnauthorized, code: "invalid_token"}
}

// isSendable reports whether the value of a header can be exactly this token (RFC 9110 §5.5): no control character but
// the tab, and no space around it.
func isSendable(token string) bool {
	isControl := func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
	return token != "" && strings.Trim(token, " \t") == token && !strings.ContainsFunc(token, isControl)
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
