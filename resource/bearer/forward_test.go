package bearer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/bearer"
	"example.com/signet/resource/verify"
	"example.com/signet/resource/verify/verifytest"
)

// asked is what a proxy got to its question, and the reasons that Refused saw.
type asked struct {
	status  int
	header  http.Header
	body    string
	reasons []error
}

func ask(t *testing.T, v bearer.Verifier, r *http.Request) asked {
	t.Helper()
	var a asked
	w := httptest.NewRecorder()
	bearer.ForwardAuth{Guard: bearer.Guard{Verifier: v, Refused: func(_ *http.Request, reason error) {
		a.reasons = append(a.reasons, reason)
		if w.Body.Len() > 0 || len(w.Header()["Www-Authenticate"]) > 0 {
			t.Error("Refused was called after the answer")
		}
	}}}.ServeHTTP(w, r)
	a.status, a.header, a.body = w.Code, w.Header(), w.Body.String()
	return a
}

func question(query string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/verify", nil)
	r.URL.RawQuery = query
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

var billing = claimsOf(
	`{"iss":"https://a.example","sub":"alice","client_id":"billing","scope":"orders:read orders:write"}`)

// identityOf returns the identity headers of an answer, under any spelling.
func identityOf(h http.Header) map[string][]string {
	identity := make(map[string][]string)
	for name, values := range h {
		if strings.HasPrefix(strings.ToLower(strings.ReplaceAll(name, "_", "-")), "x-auth") {
			identity[name] = values
		}
	}
	return identity
}

func (a asked) wantYes(t *testing.T) {
	t.Helper()
	if a.status != http.StatusOK || a.body != "" || a.reasons != nil || a.header["Www-Authenticate"] != nil {
		t.Errorf("%d %q, reasons %v, %v", a.status, a.body, a.reasons, a.header)
	}
	want := map[string][]string{
		"X-Auth-Issuer": {"https://a.example"}, "X-Auth-Subject": {"alice"}, "X-Auth-Client-Id": {"billing"},
		"X-Auth-Scope": {"orders:read orders:write"},
	}
	if diff := cmp.Diff(want, identityOf(a.header)); diff != "" {
		t.Error(diff)
	}
}

func (a asked) wantNo(t *testing.T, status int, reason error) {
	t.Helper()
	if a.status != status {
		t.Errorf("%d, want %d", a.status, status)
	}
	if len(a.reasons) != 1 || !errors.Is(a.reasons[0], reason) {
		t.Errorf("reasons %v, want %v once", a.reasons, reason)
	}
	if identity := identityOf(a.header); len(identity) != 0 {
		t.Errorf("an answer that refuses says who calls: %v", identity)
	}
}

// Whatever the token is, the answer is 200, 401 or 403: nginx turns all else into a 500.
func TestForwardAuthHostileTokens(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	count := make(map[int]int)
	for _, row := range e.Rows {
		t.Run(row.Class+"/"+row.Name, func(t *testing.T) {
			want := atTheEdge(row).status
			claims, err := e.Verifier.Verify(t.Context(), row.Token)
			if err == nil && new(bearer.IdentityHeaders).Set(make(http.Header), claims) != nil {
				want = http.StatusForbidden // a scope with space around it
			}
			r := question("")
			r.Header["Token"] = []string{row.Token} // those too that no connection would carry
			a := ask(t, e.Verifier, r)
			count[a.status]++
			if want == http.StatusOK && a.status == want && len(identityOf(a.header)) == 4 && a.reasons == nil {
				return
			}
			if a.status != want || len(identityOf(a.header)) != 0 || len(a.reasons) != 1 {
				t.Errorf("%d, want %d: %v, reasons %v", a.status, want, a.header, a.reasons)
			}
		})
	}
	t.Logf("%v", count)
	if count[200] < 40 || count[401] < 500 || count[403] > 5 || len(count) != 3 {
		t.Errorf("%v", count)
	}
}

// However it is presented, too; over a real network.
func TestForwardAuthHostileTransport(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.server.Config.Handler = bearer.ForwardAuth{Guard: spy(e.Verifier, &e.reasons)}
	for _, row := range e.transports() {
		t.Run(row.name, func(t *testing.T) {
			a := e.send(t, row)
			want := row.status
			switch {
			case row.name == "in the query":
				want = http.StatusForbidden // a proxy that puts anything but scope there is set up wrongly
			case want == http.StatusBadRequest:
				want = http.StatusUnauthorized
			}
			identity := len(identityOf(a.header))
			if yes := want == 200; a.status != want || yes != (a.reason == "") || yes != (identity == 4) {
				t.Errorf("%d, want %d: %v, reason %q", a.status, want, a.header, a.reason)
			}
			if leak := verifytest.Leak(a.body+a.reason+a.header.Get("WWW-Authenticate"), row.token); leak != "" {
				t.Errorf("%q of the token is in the answer or the reason", leak)
			}
		})
	}
}

func TestForwardAuthAnswers(t *testing.T) {
	t.Parallel()
	good := []string{"Token", "good"}
	type answer struct {
		Status                int
		Challenge, RetryAfter []string
		Body                  string
	}
	refused := func(status int, challenge, body string) answer {
		return answer{status, []string{challenge}, nil, body}
	}
	const named = `resource_metadata="https://orders.example.com/.well-known/oauth-protected-resource"`
	invalid := refused(401, invalidToken+", "+named, "the access token is not valid\n")
	rows := []struct {
		name    string
		fake    fake
		query   string
		headers []string
		want    answer
	}{
		{"none presented", fake{}, "", nil, refused(401, "Bearer "+named, "an access token is needed\n")},
		{"another scheme", fake{}, "", []string{"Authorization", "Basic eDp4"},
			refused(401, "Bearer "+named, "an access token is needed\n")},
		{"more than one", fake{}, "", []string{"Token", "good", "Token", "good"},
			refused(401, invalidRequest+", "+named, "send exactly one access token\n")},
		{"not valid", fake{}, "", []string{"Token", "bad"}, invalid},
		{"expired", fake{reason: verify.ErrExpired}, "", good, invalid},
		{"an error that nobody foresaw", fake{reason: errors.New("x\r\nX: y")}, "", good, invalid},
		{"no keys", fake{reason: fmt.Errorf("x: %w", verify.ErrUnavailable)}, "", good,
			answer{403, nil, []string{"5"}, "access tokens cannot be verified now\n"}},
		{"scope missing", fake{claims: withScope("a")}, "scope=orders:read+b", good, refused(403,
			`Bearer error="insufficient_scope", error_description="the access token lacks a scope", `+
				`scope="orders:read b", `+named,
			"the access token lacks a scope\n")},
		{"a bad question", fake{claims: billing}, "scopes=a", good,
			refused(403, "Bearer "+named, "the proxy asks for something that is no scope\n")},
		{"an identity of the caller's making", fake{claims: billing}, "", append(good, "X-Auth-Issuer", "a"),
			refused(403, "Bearer "+named, "the headers that tell who calls are not the caller's to set\n")},
		{"an identity that no header can carry",
			fake{claims: claimsOf(`{"iss":"i","sub":"ä","client_id":"b"}`)}, "", good,
			refused(403, `Bearer error="invalid_token", error_description="no header can carry the token's identity", `+named,
				"no header can carry the token's identity\n")},
	}
	metadata := newMetadata(t, "https://orders.example.com")
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			guard := bearer.Guard{Verifier: row.fake, Metadata: metadata}
			bearer.ForwardAuth{Guard: guard}.ServeHTTP(w, question(row.query, row.headers...))
			got := answer{w.Code, w.Header()["Www-Authenticate"], w.Header()["Retry-After"], w.Body.String()}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Error(diff)
			}
			wantCacheHeaders(t, called{Response: w.Result()})
		})
	}
}

func TestForwardAuthScope(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, query string
		want        error // nil: let through
	}{
		{"none asked for", "", nil},
		{"the one", "scope=orders:read", nil},
		{"two with a plus", "scope=orders:read+orders:write", nil},
		{"two with an escaped space", "scope=orders:read%20orders:write", nil},
		{"two parameters, both there", "scope=orders:read&scope=orders:write", nil},
		{"escaped", "scope=orders%3Aread", nil},
		{"the name escaped", "%73cope=orders:read", nil},
		{"an empty pair", "&scope=orders:read&", nil},

		{"another", "scope=admin", bearer.ErrScope},
		{"one of two", "scope=orders:read+admin", bearer.ErrScope},
		{"two parameters, the first is there", "scope=orders:read&scope=admin", bearer.ErrScope},
		{"two parameters, the second is there", "scope=admin&scope=orders:read", bearer.ErrScope},
		{"another letter case", "scope=Orders:Read", bearer.ErrScope},
		{"part", "scope=orders", bearer.ErrScope},
		{"a list with a comma is one value", "scope=orders:read,orders:write", bearer.ErrScope},
		{"another name in the value", "scope=x=orders:read", bearer.ErrScope},

		{"empty", "scope=", bearer.ErrQuestion},
		{"no value", "scope", bearer.ErrQuestion},
		{"an empty one beside a good one", "scope=orders:read&scope=", bearer.ErrQuestion},
		{"space alone", "scope=+", bearer.ErrQuestion},
		{"space before", "scope=+orders:read", bearer.ErrQuestion},
		{"space behind", "scope=orders:read%20", bearer.ErrQuestion},
		{"two spaces", "scope=orders:read++orders:write", bearer.ErrQuestion},
		{"tab", "scope=orders:read%09orders:write", bearer.ErrQuestion},
		{"semicolon", "scope=orders:read;scope=admin", bearer.ErrQuestion},
		{"semicolon, raw", "scope=orders:read;x", bearer.ErrQuestion},
		{"a misspelled name", "scopes=admin", bearer.ErrQuestion},
		{"another letter case of the name", "Scope=admin", bearer.ErrQuestion},
		{"brackets", "scope[]=admin", bearer.ErrQuestion},
		{"no name", "=admin", bearer.ErrQuestion},
		{"a value alone", "orders:read", bearer.ErrQuestion},
		{"another beside it", "scope=orders:read&x=y", bearer.ErrQuestion},
		{"a token", "scope=orders:read&access_token=good", bearer.ErrQuestion},
		{"a bad escape", "scope=%zz", bearer.ErrQuestion},
		{"a bad escape elsewhere", "scope=orders:read&%zz", bearer.ErrQuestion},
		{"a cut escape", "scope=orders:read%2", bearer.ErrQuestion},
		{"quote", "scope=%22,+realm=%22x", bearer.ErrQuestion},
		{"backslash", "scope=a%5C", bearer.ErrQuestion},
		{"line break", "scope=a%0D%0AX-Auth-Subject:+admin", bearer.ErrQuestion},
		{"NUL", "scope=a%00", bearer.ErrQuestion},
		{"not ASCII", "scope=%C3%A4", bearer.ErrQuestion},
		{"not UTF-8", "scope=%FF", bearer.ErrQuestion},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			a := ask(t, fake{claims: billing}, question(row.query, "Token", "good"))
			if row.want == nil {
				a.wantYes(t)
				return
			}
			a.wantNo(t, http.StatusForbidden, row.want)
			if strings.Contains(fmt.Sprint(a.header, a.body), "realm") {
				t.Errorf("the question is in the answer: %v %s", a.header, a.body)
			}
			// Without a token it opens nothing either, and is never an answer that a proxy makes a 500 of.
			if a := ask(t, fake{claims: billing}, question(row.query)); a.status != 401 && a.status != 403 {
				t.Errorf("without a token: %d", a.status)
			}
		})
	}
}

// The question's headers are the caller's. Nothing but the token counts, and nothing of them comes back.
func TestForwardAuthIgnoresTheCallersHeaders(t *testing.T) {
	t.Parallel()
	others := []string{
		"X-Forwarded-User", "admin", "Remote-User", "admin", "Scope", "admin", "Issuer", "admin", "X-Auth", "admin",
		"X-Authsubject", "admin", "X-Original-URL", "/verify?scope=", "X-Forwarded-Uri", "/?scope=x",
		"X-Forwarded-Method", "OPTIONS", "X-Http-Method-Override", "OPTIONS", "Vary", "*", "Cache-Control", "public",
		"Connection", "X-Auth-Issuer, X-Auth-Subject, Token", "Trailer", "X-Auth-Subject",
	}
	with := func(token string) []string { return append([]string{"Token", token}, others...) }
	a := ask(t, fake{claims: billing}, question("", with("good")...))
	for name := range a.header { // "X-Auth" is not there either
		if a.header.Get(name) == "admin" {
			t.Errorf("%s of the caller's is in the answer", name)
		}
	}
	a.wantYes(t)
	ask(t, fake{claims: billing}, question("", others...)).wantNo(t, 401, bearer.ErrNoToken)
	ask(t, fake{claims: billing}, question("", with("bad")...)).wantNo(t, 401, errBad)
	ask(t, fake{claims: billing}, question("scope=admin", with("good")...)).wantNo(t, 403, bearer.ErrScope)
}

// A proxy need not replace an identity of the caller's making, so there is no yes for one, however it is spelled and
// whatever else is in the request. Nor is the verifier asked.
func TestForwardAuthRefusesTheCallersIdentity(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"X-Auth-Issuer", "x-auth-issuer", "X_Auth_Issuer", "X.AUTH.ISSUER", "X~Auth-Issuer",
		"X-Auth-Subject", "X-AUTH-SUBJECT", "x_auth_subject", "X_Auth-Subject", "X Auth Subject",
		"X-Auth-Client-Id", "X-Auth-Client-ID", "x_auth_client_id", "X-Auth-Client.Id",
		"X-Auth-Scope", "x_auth_scope", "X\xffAuth\x00Scope",
	} {
		for _, values := range [][]string{{"admin"}, {"alice"}, {"https://a.example"}, {"admin", "root"}, {""}, nil} {
			for _, token := range []string{"good", "bad", ""} {
				r := question("scope=orders:read", "Token", token)
				r.Header[name] = values
				a := ask(t, neverAsked(t), r)
				a.wantNo(t, http.StatusForbidden, bearer.ErrForged)
				if a.body != "the headers that tell who calls are not the caller's to set\n" {
					t.Errorf("%q: %q", name, a.body)
				}
				if got := a.header["Www-Authenticate"]; !slices.Equal(got, []string{"Bearer"}) {
					t.Errorf("%q: challenge %q", name, got)
				}
			}
		}
	}
	if got := bearer.ErrForged.Error(); got != "identity headers of the caller's making" {
		t.Errorf("%q", got)
	}
}

// neverAsked is a verifier for requests that are refused whatever their token is.
func neverAsked(t *testing.T) bearer.Verifier {
	return verifierFunc(func(context.Context, string) (verify.Claims, error) {
		t.Error("the verifier was asked")
		return billing, nil
	})
}

// Two issuers may each have an alice. What they have for her is told apart, by a real verifier.
func TestForwardAuthTellsIssuersApart(t *testing.T) {
	t.Parallel()
	clock := keystest.NewClock()
	cfg := verify.Config{Audience: keystest.Audience, Now: clock.Now}
	token := make(map[string]string)
	keyOf := map[string]string{"https://a.example": keystest.ES256, "https://b.example": keystest.ES256Other}
	for issuer, key := range keyOf {
		cfg.Issuers = append(cfg.Issuers, verify.Issuer{ID: issuer, JWKS: keystest.Set(key)})
		claims := keystest.AccessClaims(issuer, keystest.Audience, clock.Now()).With("sub", `"alice"`)
		token[issuer] = keystest.AccessToken(key, claims)
	}
	verifier, err := verify.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(verifier.Close)
	for range 3 { // the last from the cache
		for issuer := range token {
			a := ask(t, verifier, question("", "Token", token[issuer]))
			got := []string{a.header.Get("X-Auth-Issuer"), a.header.Get("X-Auth-Subject")}
			if a.status != http.StatusOK || !slices.Equal(got, []string{issuer, "alice"}) {
				t.Errorf("%s: %d, %q, reasons %v", issuer, a.status, got, a.reasons)
			}
		}
	}
}

// No half identity: not the client alone when the subject cannot be said.
func TestForwardAuthUnspeakableIdentity(t *testing.T) {
	t.Parallel()
	for name, claims := range map[string]string{
		"issuer":        `{"iss":"i\r\nX-Auth-Scope: admin","sub":"a","client_id":"b","scope":"c"}`,
		"subject":       `{"iss":"i","sub":"a\r\nX-Auth-Scope: admin","client_id":"b","scope":"c"}`,
		"client":        `{"iss":"i","sub":"a","client_id":"b\u0000","scope":"c"}`,
		"scope":         `{"iss":"i","sub":"a","client_id":"b","scope":"c\tadmin"}`,
		"space behind":  `{"iss":"i","sub":"a ","client_id":"b","scope":"c"}`,
		"empty issuer":  `{"iss":"","sub":"a","client_id":"b","scope":"c"}`,
		"empty subject": `{"iss":"i","sub":"","client_id":"b","scope":"c"}`,
		"empty client":  `{"iss":"i","sub":"a","client_id":"","scope":"c"}`,
		"no issuer":     `{"sub":"a","client_id":"b","scope":"c"}`,
		"no subject":    `{"iss":"i","client_id":"b","scope":"c"}`,
		"no client":     `{"iss":"i","sub":"a","scope":"c"}`,
		"nothing":       `{}`,
		"not ASCII":     `{"iss":"i","sub":"admın","client_id":"b","scope":"c"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := ask(t, fake{claims: claimsOf(claims)}, question("", "Token", "good"))
			a.wantNo(t, http.StatusForbidden, bearer.ErrIdentity)
			if strings.Contains(fmt.Sprint(a.reasons), "admin") {
				t.Errorf("the claim is in the reason: %v", a.reasons)
			}
		})
	}
}

func TestForwardAuthHeaderNames(t *testing.T) {
	t.Parallel()
	names := bearer.HeaderNames{Issuer: "realm", Subject: "remote-user", Scope: "X_Scope"}
	headers, err := bearer.NewIdentityHeaders(names)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	w.Header().Set("Remote_User", "admin") // of a middleware in front
	w.Header().Set("X-Auth-Subject", "theirs")
	forward := bearer.ForwardAuth{Guard: bearer.Guard{Verifier: fake{claims: billing}}, Headers: headers}
	forward.ServeHTTP(w, question("", "Token", "good", "X-Auth-Issuer", "theirs")) // which is nobody's name here
	want := http.Header{
		"Realm": {"https://a.example"}, "Remote-User": {"alice"}, "X-Auth-Client-Id": {"billing"},
		"X_scope": {"orders:read orders:write"}, "X-Auth-Subject": {"theirs"},
		"Cache-Control": {"no-store"}, "Vary": {"Authorization, Token"},
	}
	if diff := cmp.Diff(want, w.Header()); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"Realm", "Remote-User", "X.Scope", "x_auth_client_id"} {
		w := httptest.NewRecorder()
		forward.ServeHTTP(w, question("", "Token", "good", name, "admin"))
		if w.Code != http.StatusForbidden || w.Header()["Realm"] != nil || w.Header()["Remote-User"] != nil {
			t.Errorf("%s: %d, %v", name, w.Code, w.Header())
		}
	}
}

// A proxy asks with the method of the request that it holds, or with GET; the answer is the same. Over HTTP, so that
// the body of the request, which some proxies send along, is in nobody's way.
func TestForwardAuthMethods(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(bearer.ForwardAuth{Guard: bearer.Guard{Verifier: fake{claims: billing}}})
	t.Cleanup(server.Close)
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "X-Y"} {
		for token, want := range map[string]int{"good": 200, "bad": 401, "": 401} {
			body := strings.NewReader("scope=admin")
			r, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/verify", body)
			if err != nil {
				t.Fatal(err)
			}
			if token != "" {
				r.Header.Set("Token", token)
			}
			resp, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != want || (resp.Header.Get("X-Auth-Subject") == "alice") != (want == 200) {
				t.Errorf("%s with %q: %d, %v", method, token, resp.StatusCode, resp.Header)
			}
		}
	}
}

func TestForwardAuthWithoutVerifierPanics(t *testing.T) {
	t.Parallel()
	wantPanic(t, "bearer: a guard without verifier", func() {
		bearer.ForwardAuth{}.ServeHTTP(httptest.NewRecorder(), question("", "Token", "good"))
	})
}
