package bearer_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"

	"example.com/signet/resource/bearer"
	"example.com/signet/resource/verify"
)

func newMetadata(t testing.TB, resource string) *bearer.Metadata {
	t.Helper()
	metadata, err := bearer.NewMetadata(bearer.MetadataConfig{Resource: resource})
	if err != nil {
		t.Fatal(err)
	}
	return metadata
}

// A terminating slash right behind the host goes, and nothing else does (RFC 9728 §3.1).
func TestMetadataPlace(t *testing.T) {
	t.Parallel()
	const at = "https://orders.example.com/.well-known/oauth-protected-resource"
	const path = "/.well-known/oauth-protected-resource"
	rows := []struct{ name, resource, url, path string }{
		{"host", "https://orders.example.com", at, path},
		{"host and slash", "https://orders.example.com/", at, path},
		{"path", "https://orders.example.com/v1/orders", at + "/v1/orders", path + "/v1/orders"},
		{"path that ends in a slash", "https://orders.example.com/v1/", at + "/v1/", path + "/v1/"},
		{"two slashes", "https://orders.example.com//", at + "//", path + "//"},
		{"query", "https://orders.example.com?tenant=1", at + "?tenant=1", path},
		{"slash and query", "https://orders.example.com/?tenant=1", at + "?tenant=1", path},
		{"path and query", "https://orders.example.com/v1?tenant=1", at + "/v1?tenant=1", path + "/v1"},
		{"port", "https://orders.example.com:8443/v1", "https://orders.example.com:8443" + path + "/v1", path + "/v1"},
		{"address", "http://127.0.0.1:9000", "http://127.0.0.1:9000" + path, path},
		{"IPv6", "http://[::1]:9000", "http://[::1]:9000" + path, path},
		{"scheme in capitals", "HTTPS://orders.example.com", at, path},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			metadata := newMetadata(t, row.resource)
			if metadata.URL() != row.url || metadata.Path() != row.path {
				t.Errorf("%s at %s, want %s at %s", metadata.URL(), metadata.Path(), row.url, row.path)
			}
		})
	}
}

func TestNewMetadataRefuses(t *testing.T) {
	t.Parallel()
	const notPlain, notHTTP = "is not a URL of plain characters without user and fragment", "is not an http URL"
	rows := []struct{ name, resource, want string }{
		{"empty", "", notHTTP},
		{"a name", "orders", notHTTP},
		{"a host", "orders.example.com", notHTTP},
		{"a host and port", "orders.example.com:443", notHTTP},
		{"no scheme", "//orders.example.com", notHTTP},
		{"a path", "/orders", notHTTP},
		{"URN", "urn:example:orders", notHTTP},
		{"ftp", "ftp://orders.example.com", notHTTP},
		{"javascript", "javascript:alert(1)", notHTTP},
		{"javascript with a host", "javascript://orders.example.com/%0Aalert(1)", notPlain},
		{"file", "file:///etc/passwd", notHTTP},
		{"data", "data:text/html,x", notHTTP},
		{"a scheme that begins like ours", "httpsx://orders.example.com", notHTTP},
		{"space before", " https://orders.example.com", notPlain},
		{"no host", "https://", notHTTP},
		{"no host but a path", "https:///orders", notHTTP},
		{"no host but a port", "https://:443", notHTTP},
		{"one slash", "https:/orders.example.com", notHTTP},
		{"opaque", "https:orders.example.com", notHTTP},
		{"user", "https://user@orders.example.com", notPlain},
		{"user and password", "https://user:hunter2@orders.example.com", notPlain},
		{"an empty user", "https://@orders.example.com", notPlain},
		{"fragment", "https://orders.example.com/#a", notPlain},
		{"an empty fragment", "https://orders.example.com/#", notPlain},
		{"quote in the path", `https://orders.example.com/", error="x`, notPlain},
		{"quote in the query", `https://orders.example.com/?", error="x`, notPlain},
		{"quote in the host", `https://orders.example.com"`, notPlain},
		{"quote in a zone, escaped", `http://[fe80::1%25%22]/`, notPlain},
		{"backslash in the path", `https://orders.example.com/\`, notPlain},
		{"backslash in the query", `https://orders.example.com/?\`, notPlain},
		{"backslash in the host", `https://orders.example.com\@evil.example.com`, notPlain},
		{"line break", "https://orders.example.com/\r\nX-Evil: 1", notPlain},
		{"line break in the query", "https://orders.example.com/?\r\nX-Evil: 1", notPlain},
		{"NUL", "https://orders.example.com/\x00", notPlain},
		{"tab", "https://orders.example.com/\t", notPlain},
		{"DEL", "https://orders.example.com/\x7f", notPlain},
		{"bad escape", "https://orders.example.com/%zz", notPlain},
		{"a zone", "http://[fe80::1%25eth0]/", notPlain},
		{"a pattern", "https://orders.example.com/{id}", notPlain},
		{"a wildcard", "https://orders.example.com/*", notPlain},
		{"an escape", "https://orders.example.com/a%2Fb", notPlain},
		{"bad port", "https://orders.example.com:https", notPlain},
		// No URL has these (RFC 3986 §2), and no document or header would have them unchanged.
		{"space in the query", "https://orders.example.com/?a b", notPlain},
		{"space in the path", "https://orders.example.com/a b", notPlain},
		{"not ASCII in the query", "https://orders.example.com/?ä", notPlain},
		{"not ASCII in the host", "https://bücher.example.com", notPlain},
		{"not UTF-8 in the path", "https://orders.example.com/\xff", notPlain},
		{"not UTF-8 in the query", "https://orders.example.com/?\xff", notPlain},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			metadata, err := bearer.NewMetadata(bearer.MetadataConfig{Resource: row.resource})
			if err == nil || metadata != nil {
				t.Fatalf("accepted as %s", metadata.URL())
			}
			if !strings.HasPrefix(err.Error(), "bearer: the resource ") || !strings.HasSuffix(err.Error(), row.want) {
				t.Errorf("%v, want %s", err, row.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the password is in the error: %v", err)
			}
		})
	}
}

func TestMetadataDocument(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		cfg  bearer.MetadataConfig
		want string
	}{
		{"all", bearer.MetadataConfig{
			Resource:             "https://orders.example.com",
			AuthorizationServers: []string{"https://a.example.com", "https://b.example.com"},
			Scopes:               []string{"orders:read", "orders:write"}, Name: "Orders <&\u2028>",
		}, `{"resource":"https://orders.example.com",` +
			`"authorization_servers":["https://a.example.com","https://b.example.com"],` +
			`"scopes_supported":["orders:read","orders:write"],"bearer_methods_supported":["header"],` +
			`"resource_name":"Orders <&\u2028>"}`},
		{"least", bearer.MetadataConfig{Resource: "https://orders.example.com/"},
			`{"resource":"https://orders.example.com/","bearer_methods_supported":["header"]}`},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			metadata, err := bearer.NewMetadata(row.cfg)
			if err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			metadata.ServeHTTP(w, httptest.NewRequest(http.MethodGet, metadata.Path(), nil))
			if diff := cmp.Diff(decode(t, row.want), decode(t, w.Body.String())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func decode(t *testing.T, document string) (members map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(document), &members); err != nil {
		t.Fatal(err)
	}
	return members
}

// The document does not change with what the caller of NewMetadata does to the slices afterwards.
func TestMetadataNeverChange(t *testing.T) {
	t.Parallel()
	servers := []string{"https://a.example.com"}
	metadata, err := bearer.NewMetadata(bearer.MetadataConfig{
		Resource: "https://orders.example.com", AuthorizationServers: servers,
	})
	if err != nil {
		t.Fatal(err)
	}
	servers[0] = "https://evil.example.com"
	w := httptest.NewRecorder()
	metadata.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if strings.Contains(w.Body.String(), "evil") {
		t.Error(w.Body)
	}
}

func TestMetadataOverHTTP(t *testing.T) {
	t.Parallel()
	metadata := newMetadata(t, "https://orders.example.com")
	server := httptest.NewServer(metadata)
	t.Cleanup(server.Close)
	length := ""
	rows := []struct {
		method string
		status int
	}{
		{http.MethodGet, 200}, {http.MethodHead, 200}, {http.MethodPost, 405}, {http.MethodPut, 405},
		{http.MethodDelete, 405},
		{http.MethodPatch, 405}, {http.MethodOptions, 405}, {"PROPFIND", 405}, {"get", 405},
	}
	for _, row := range rows {
		t.Run(row.method, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), row.method, server.URL+metadata.Path()+"?x=y", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Origin", "https://evil.example.com")
			resp, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != row.status {
				t.Fatalf("%d, want %d", resp.StatusCode, row.status)
			}
			if row.status != 200 {
				if resp.Header.Get("Allow") != "GET, HEAD" || resp.Header["Access-Control-Allow-Origin"] != nil {
					t.Errorf("%v", resp.Header)
				}
				return
			}
			want := http.Header{
				"Content-Type": {"application/json"}, "Cache-Control": {"public, max-age=3600"},
				"Access-Control-Allow-Origin": {"*"},
			}
			if row.method == http.MethodGet {
				length = resp.Header.Get("Content-Length")
			}
			for name, values := range want {
				if diff := cmp.Diff(values, resp.Header[name]); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
			}
			if (len(body) == 0) != (row.method == http.MethodHead) || length == "" ||
				resp.Header.Get("Content-Length") != length {
				t.Errorf("%d octets, Content-Length %s, want %s", len(body), resp.Header.Get("Content-Length"), length)
			}
		})
	}
}

// The metadata are where a client that follows the challenge asks for them, and nowhere else, whatever the resource's
// path is. What a router would take for a pattern, or not find, NewMetadata refuses.
func TestMetadataAreWhereTheChallengeSays(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"", "/", "/v1", "/v1/", "/v1/orders", "/?tenant=1", "/v1?tenant=1", "/v1?a=b&c=d?/", "//v1",
		"/a;b=c", "/a,b", "/a:b",
		"/a@b", "/a~b", "/a-b_c.d", "/a'b", "/a$b", "/$", "/(a)", "/a+b", "/a!b", "/[a]", "/a&b", "/:id", "/...",
	} {
		t.Run(path, func(t *testing.T) {
			metadata := newMetadata(t, "http://orders.example.com"+path)
			r := chi.NewRouter()
			r.Handle(metadata.Path(), metadata)
			w := httptest.NewRecorder()
			r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, metadata.URL(), nil))
			if w.Code != 200 || decode(t, w.Body.String())["resource"] != "http://orders.example.com"+path {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			w = httptest.NewRecorder()
			r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, bearer.MetadataPath+"/another/b", nil))
			if w.Code != 404 {
				t.Errorf("another resource: %d", w.Code)
			}
		})
	}
}

// Each challenge names the metadata (RFC 9728 §5.1); where the caller is not at fault there is no challenge. Nothing of
// the request has a say in it.
func TestChallengeNamesMetadata(t *testing.T) {
	t.Parallel()
	const named = `resource_metadata="https://orders.example.com/.well-known/oauth-protected-resource/v1?tenant=1"`
	rows := []struct {
		name    string
		reason  error
		headers []string
		status  int
		want    []string
	}{
		{"no token", nil, nil, 401, []string{`Bearer ` + named}},
		{"bad token", verify.ErrSignature, []string{"Token", "good"}, 401, []string{invalidToken + ", " + named}},
		{"two tokens", nil, []string{"Token", "good", "Token", "good"}, 400, []string{invalidRequest + ", " + named}},
		{"no scope", nil, []string{"Token", "good"}, 403, []string{`Bearer error="insufficient_scope", ` +
			`error_description="the access token lacks a scope", scope="orders:read", ` + named}},
		{"no keys", verify.ErrUnavailable, []string{"Token", "good"}, 503, nil},
	}
	metadata := newMetadata(t, "https://orders.example.com/v1?tenant=1")
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			guard := bearer.Guard{Verifier: fake{reason: row.reason}, Metadata: metadata}
			r := httptest.NewRequest(http.MethodGet, "https://evil.example.com/evil?resource=evil", nil)
			for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "Forwarded",
				"Origin",
				"Referer", "X-Original-URL", "X-Forwarded-Uri"} {
				r.Header.Set(name, `evil", resource_metadata="https://evil.example.com`)
			}
			for i := 0; i < len(row.headers); i += 2 {
				r.Header.Add(row.headers[i], row.headers[i+1])
			}
			w := httptest.NewRecorder()
			guard.IsAuthorized(bearer.RequireScope("orders:read")(http.NotFoundHandler())).ServeHTTP(w, r)
			if diff := cmp.Diff(row.want, w.Header()["Www-Authenticate"]); w.Code != row.status || diff != "" {
				t.Errorf("%d: %s", w.Code, diff)
			}
			for name, values := range w.Header() {
				if strings.Contains(strings.Join(values, " ")+w.Body.String(), "evil") {
					t.Errorf("%s: %q, %s", name, values, w.Body)
				}
			}
		})
	}
}

// No resource that NewMetadata takes breaks the quoted string open (RFC 9110 §5.6.4), or is another URL behind.
func FuzzMetadata(f *testing.F) {
	for _, seed := range []string{
		"https://orders.example.com", "https://orders.example.com/v1?a=b", "http://[::1]:9000/", `https://x/"`,
		`https://x/\`,
		"http://[fe80::1%25%22]/", "http://[fe80::1%25%20]/", "https://x/?a b", "https://x/?\xff",
		"https://x:443/%22%5C", "https://:1/",
		`https://x/?"`, "https://x'<>/", "https://ä/", "https://x/%", "https://x?", "https://x//?", "https://a,b=c/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, resource string) {
		metadata, err := bearer.NewMetadata(bearer.MetadataConfig{Resource: resource})
		if err != nil {
			return
		}
		guard := bearer.Guard{Verifier: fake{}, Metadata: metadata}
		w := httptest.NewRecorder()
		guard.IsAuthorized(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		challenge := w.Header().Get("WWW-Authenticate")
		value, opened := strings.CutPrefix(challenge, `Bearer resource_metadata="`)
		value, closed := strings.CutSuffix(value, `"`)
		if !opened || !closed || value != metadata.URL() {
			t.Fatalf("%q: %s", resource, challenge)
		}
		if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			t.Errorf("%q: %q is in a quoted string", resource, value)
		}
		u, err := url.Parse(value)
		if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" ||
			!strings.HasPrefix(u.EscapedPath(), bearer.MetadataPath) {
			t.Errorf("%q: %q is no place: %v", resource, value, err)
		}
		if w = httptest.NewRecorder(); !utf8.ValidString(resource) {
			t.Errorf("%q is accepted", resource)
		}
		metadata.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if decode(t, w.Body.String())["resource"] != resource { // RFC 9728 §3.3: the client compares
			t.Errorf("%q: %s", resource, w.Body)
		}
	})
}
