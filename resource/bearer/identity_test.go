package bearer_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/resource/bearer"
	"example.com/signet/resource/verify"
)

// Whatever some server behind us might take for one of the headers goes; what only looks a bit like it stays.
func TestIdentityHeadersStrip(t *testing.T) {
	t.Parallel()
	gone := []string{
		"X-Auth-Subject", "x-auth-subject", "X-AUTH-SUBJECT", "X_Auth_Subject", "x_auth_subject", "X-Auth_Subject",
		"X.Auth.Subject", "X Auth Subject", "X!Auth~Subject", "x-AUTH.subject", "X\x00Auth-Subject",
		"X\u2010Auth\u2010Subject", "X\xffAuth-Subject",
		"X-Auth-Issuer", "x-auth-issuer", "X_AUTH_ISSUER", "X.Auth_Issuer",
		"X-Auth-Client-Id", "X-Auth-Client-ID", "X_AUTH_CLIENT_ID", "x-auth-client.id",
		"X-Auth-Scope", "x_auth_scope", "X-auth-SCOPE",
	}
	kept := []string{
		"X-Auth", "X-Auth-Subjects", "X-Auth-Subject-", "-X-Auth-Subject", "XAuthSubject", "X-Auth--Subject",
		"X-Auth-Client", "X-Auth-Issuers", "X-Auth-Iss", "Issuer", "Auth-Subject", "X-Authsubject",
		"X-Auth-Scope-2", "Subject", "Scope", "Accept", "Vary", "X-Request-Id", "",
	}
	header := make(http.Header)
	for _, name := range append(slices.Clone(gone), kept...) {
		header[name] = strangers()
	}
	var headers bearer.IdentityHeaders
	headers.Strip(header)
	for _, name := range gone {
		if header[name] != nil {
			t.Errorf("%q stays", name)
		}
	}
	for _, name := range kept {
		if !slices.Equal(header[name], strangers()) {
			t.Errorf("%q is gone or changed: %q", name, header[name])
		}
	}
	headers.Strip(nil) // nothing to remove is no error
}

// strangers are what a caller says of itself. They go into a header under names that [http.Header.Set] would change.
func strangers() []string { return []string{"admin", "root"} }

func TestIdentityHeadersStripTheirOwnNames(t *testing.T) {
	t.Parallel()
	headers, err := bearer.NewIdentityHeaders(bearer.HeaderNames{Issuer: "remote_realm", Subject: "REMOTE_USER"})
	if err != nil {
		t.Fatal(err)
	}
	theirs := http.Header{"X-Auth-Issuer": {"theirs"}, "X-Auth-Subject": {"theirs"}}
	header := theirs.Clone()
	for _, name := range []string{"Remote-User", "remote_user", "Remote.User", "Remote-Realm", "X-Auth-Scope"} {
		header[name] = strangers()
	}
	headers.Strip(header)
	if diff := cmp.Diff(theirs, header); diff != "" {
		t.Error(diff)
	}
}

func TestIdentityHeadersSet(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, value string
		ok          bool
	}{
		{"CR", "a\rb", false},
		{"LF", "a\nb", false},
		{"CR LF and another header", "a\r\nX-Auth-Scope: admin", false},
		{"NUL", "a\x00b", false},
		{"tab inside", "a\tb", false},
		{"tab before", "\ta", false},
		{"tab behind", "a\t", false},
		{"space before", " a", false},
		{"space behind", "a ", false},
		{"space alone", " ", false},
		{"DEL", "a\x7f", false},
		{"ESC", "a\x1b[2J", false},
		{"UTF-8", "ä", false},
		{"UTF-8 that looks like ASCII", "аdmin", false}, // Cyrillic a
		{"a space beyond ASCII", "a\u00a0b", false},
		{"a space beyond ASCII behind", "a\u00a0", false},
		{"NEL", "a\u0085b", false},
		{"line separator", "a\u2028b", false},
		{"BOM", "\ufeffa", false},
		{"right to left", "a\u202eb", false},
		{"beyond the first plane", "😀", false},
		{"replacement character", "\ufffd", false},
		{"very long and a line break", strings.Repeat("a", 6000) + "\n", false},

		{"plain", "billing", true},
		{"space inside", "a b", true},
		{"spaces inside", "a  b", true},
		{"all that is printable", "!\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~", true},
		{"comma", "a,b", true},
		{"quotes", `"a"`, true},
		{"URL", "https://orders.example.com/a?b=c#d", true},
		{"escaped line break", "a%0D%0Ab", true},
		{"very long", strings.Repeat("a", 6000), true},
	}
	for _, row := range rows {
		for _, claim := range []string{"iss", "sub", "client_id", "scope"} {
			t.Run(row.name+" in "+claim, func(t *testing.T) {
				t.Parallel()
				claims := whole()
				claims[claim] = row.value
				testSet(t, claims, row.ok)
			})
		}
	}
	t.Run("nothing", func(t *testing.T) { testSet(t, map[string]string{}, false) })
}

// A name without the issuer that gave it may be anybody's; only a token without scope is still somebody's.
func TestIdentityHeadersSetWithout(t *testing.T) {
	t.Parallel()
	for claim, ok := range map[string]bool{"iss": false, "sub": false, "client_id": false, "scope": true} {
		t.Run(claim, func(t *testing.T) {
			t.Parallel()
			claims := whole()
			claims[claim] = ""
			testSet(t, claims, ok)
			delete(claims, claim)
			testSet(t, claims, ok)
		})
	}
}

func whole() map[string]string {
	return map[string]string{"iss": "i", "sub": "s", "client_id": "c", "scope": "o"}
}

// testSet sets claims on headers that others have written to before. All four come, or none.
func testSet(t *testing.T, claims map[string]string, ok bool) {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{"Accept": {"*/*"}}
	for _, name := range []string{"X-Auth-Subject", "x_auth_scope", "X-AUTH-CLIENT-ID", "X-Auth-Issuer", "x.auth_issuer",
		"X_Auth_Subject"} {
		header[name] = strangers()
	}
	err = new(bearer.IdentityHeaders).Set(header, claimsOf(string(payload)))
	want := http.Header{"Accept": {"*/*"}}
	if ok {
		want["X-Auth-Issuer"], want["X-Auth-Subject"] = []string{claims["iss"]}, []string{claims["sub"]}
		want["X-Auth-Client-Id"], want["X-Auth-Scope"] = []string{claims["client_id"]}, []string{claims["scope"]}
	}
	if diff := cmp.Diff(want, header); diff != "" {
		t.Error(diff)
	}
	var wantErr error
	if !ok {
		wantErr = bearer.ErrIdentity
	}
	if !errors.Is(err, wantErr) || (err != nil && err.Error() != "identity that no header can carry") {
		t.Errorf("error %v, want %v", err, wantErr)
	}
}

func TestNewIdentityHeadersRefuses(t *testing.T) {
	t.Parallel()
	const noName, other, twice = "is no name of a header", "has another meaning", "twice"
	rows := []struct {
		name  string
		names bearer.HeaderNames
		want  string
	}{
		{"space", bearer.HeaderNames{Subject: "X Auth"}, noName},
		{"space alone", bearer.HeaderNames{Subject: " "}, noName},
		{"colon", bearer.HeaderNames{Client: "X-Auth:"}, noName},
		{"line break", bearer.HeaderNames{Scope: "X-Auth\r\nX"}, noName},
		{"NUL", bearer.HeaderNames{Subject: "X\x00"}, noName},
		{"DEL", bearer.HeaderNames{Subject: "X\x7f"}, noName},
		{"tab", bearer.HeaderNames{Subject: "X\t"}, noName},
		{"UTF-8", bearer.HeaderNames{Subject: "X-Größe"}, noName},
		{"not UTF-8", bearer.HeaderNames{Subject: "X\xff"}, noName},
		{"quote", bearer.HeaderNames{Subject: `X"`}, noName},
		{"bracket", bearer.HeaderNames{Subject: "X[1]"}, noName},
		{"slash", bearer.HeaderNames{Subject: "X/Y"}, noName},
		{"pseudo-header", bearer.HeaderNames{Subject: ":path"}, noName},
		{"Host", bearer.HeaderNames{Subject: "Host"}, other},
		{"Token", bearer.HeaderNames{Client: "token"}, other},
		{"Authorization", bearer.HeaderNames{Scope: "AUTHORIZATION"}, other},
		{"Connection", bearer.HeaderNames{Subject: "connection"}, other},
		{"Cookie", bearer.HeaderNames{Subject: "Cookie"}, other},
		{"Content_Length", bearer.HeaderNames{Subject: "Content_Length"}, other},
		{"Content.Type", bearer.HeaderNames{Subject: "Content.Type"}, other},
		{"Transfer-Encoding", bearer.HeaderNames{Subject: "Transfer-Encoding"}, other},
		{"TE", bearer.HeaderNames{Subject: "TE"}, other},
		{"Trailer", bearer.HeaderNames{Subject: "Trailer"}, other},
		{"Upgrade", bearer.HeaderNames{Subject: "Upgrade"}, other},
		{"Vary", bearer.HeaderNames{Subject: "Vary"}, other},
		{"Cache-Control", bearer.HeaderNames{Subject: "Cache-Control"}, other},
		{"WWW-Authenticate", bearer.HeaderNames{Subject: "WWW-Authenticate"}, other},
		{"Issuer is Token", bearer.HeaderNames{Issuer: "TOKEN"}, other},
		{"Issuer with a space", bearer.HeaderNames{Issuer: "X Auth"}, noName},
		{"issuer and subject the same", bearer.HeaderNames{Issuer: "x-a", Subject: "X_A"}, twice},
		{"the issuer's is another's default", bearer.HeaderNames{Issuer: "X_AUTH_SUBJECT"}, twice},
		{"another's is the issuer's default", bearer.HeaderNames{Scope: "x.auth.issuer"}, twice},
		{"two the same", bearer.HeaderNames{Subject: "X-A", Client: "X-A"}, twice},
		{"two the same but for letter case", bearer.HeaderNames{Subject: "X-A", Scope: "x-a"}, twice},
		{"two the same but for punctuation", bearer.HeaderNames{Client: "X_A", Scope: "X-A"}, twice},
		{"one is another's default", bearer.HeaderNames{Subject: "x_auth_scope"}, twice},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			headers, err := bearer.NewIdentityHeaders(row.names)
			if err == nil || !strings.HasPrefix(err.Error(), "bearer: ") || !strings.HasSuffix(err.Error(), row.want) {
				t.Errorf("%v, want %s", err, row.want)
			}
			if headers != (bearer.IdentityHeaders{}) {
				t.Errorf("%v", headers)
			}
		})
	}
	for _, names := range []bearer.HeaderNames{
		{}, {Issuer: "Remote-Realm", Subject: "Remote-User"}, {Issuer: "X-Auth-Subject", Subject: "X-Auth-Issuer"},
		{Subject: "X-Auth-Client-Id", Client: "X-Auth-Subject"}, {Scope: "x!#$%&'*+-.^_`|~1"},
	} {
		if _, err := bearer.NewIdentityHeaders(names); err != nil {
			t.Errorf("%v: %v", names, err)
		}
	}
}

// Of the same name, what two issuers say is not the same.
func TestIdentityHeadersTellIssuersApart(t *testing.T) {
	t.Parallel()
	var seen []http.Header
	for _, issuer := range []string{"https://a.example", "https://b.example"} {
		header := make(http.Header)
		claims := claimsOf(`{"iss":"` + issuer + `","sub":"alice","client_id":"alice"}`)
		if err := new(bearer.IdentityHeaders).Set(header, claims); err != nil {
			t.Fatal(err)
		}
		seen = append(seen, header)
	}
	of := func(issuer string) http.Header {
		return http.Header{
			"X-Auth-Issuer": {issuer}, "X-Auth-Subject": {"alice"}, "X-Auth-Client-Id": {"alice"}, "X-Auth-Scope": {""},
		}
	}
	if diff := cmp.Diff([]http.Header{of("https://a.example"), of("https://b.example")}, seen); diff != "" {
		t.Error(diff)
	}
}

// What Set takes is at the other end of a real connection, octet for octet, and nothing besides.
func FuzzIdentityHeaders(f *testing.F) {
	for _, seed := range [][4]string{
		{"https://a.example", "billing", "billing", "orders:read"}, {"i", "a b", "c", ""}, {"i", "a ", "b", "c"},
		{"i", "a\r\nX-Auth-Scope: admin", "b", "c"}, {"a\r\nX-Auth-Subject: admin", "a", "b", "c"}, {"i", "ä", "b", "c"},
		{"i", "a\x00", "b", "c"}, {"i", "", "b", "c"}, {"", "a", "b", "c"}, {"i", "a", "b\t", "c"}, {"i", "a", "b", " "},
		{"i", "a", "b", "c\td"}, {"i", "\u2028", "b", "c"}, {"i", "a,b", `"`, "\\"}, {"i", "=?utf-8?q?=41?=", "b", "c"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	seen := make(chan http.Header, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header }))
	f.Cleanup(server.Close)
	f.Fuzz(func(t *testing.T, issuer, subject, client, scope string) {
		if len(issuer)+len(subject)+len(client)+len(scope) > 1<<10 {
			t.Skip("longer is no different, and slower")
		}
		r := requestAs(t, server.URL, map[string]string{"iss": issuer, "sub": subject, "client_id": client, "scope": scope})
		if r == nil {
			return
		}
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatalf("%q: %v", r.Header, err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%q: %d", r.Header, resp.StatusCode)
		}
		want := http.Header{
			"X-Auth-Issuer": {issuer}, "X-Auth-Subject": {subject}, "X-Auth-Client-Id": {client}, "X-Auth-Scope": {scope},
			"Accept-Encoding": {"identity"}, "User-Agent": {"Go-http-client/1.1"},
		}
		if diff := cmp.Diff(want, <-seen); diff != "" {
			t.Error(diff)
		}
	})
}

// requestAs returns a request with the identity headers of these claims, nil when they are none or Set refuses them.
func requestAs(t *testing.T, url string, of map[string]string) *http.Request {
	t.Helper()
	payload, err := json.Marshal(of)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := verify.InsecureClaims(payload)
	if err != nil {
		return nil
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := new(bearer.IdentityHeaders).Set(r.Header, claims); err != nil {
		if len(r.Header) != 0 {
			t.Errorf("half an identity: %v", r.Header)
		}
		return nil
	}
	r.Header.Set("Accept-Encoding", "identity")
	return r
}
