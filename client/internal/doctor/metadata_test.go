package doctor_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// row changes a good issuer and names all faults that are then found, in alphabetical order.
type row struct {
	name   string
	change func(f *fake)
	want   []string
	says   string // part of what they say
}

func runRows(t *testing.T, rows []row) {
	t.Parallel()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, plain)
			row.change(f)
			report := f.examine()
			if diff := cmp.Diff(row.want, faults(report)); diff != "" {
				t.Errorf("%s\n%+v", diff, report)
			}
			var text strings.Builder
			for _, fault := range row.want {
				_, check, _ := strings.Cut(fault, " ")
				text.WriteString(says(report, check) + "\n")
			}
			if !strings.Contains(text.String(), row.says) {
				t.Errorf("%q is missing in\n%s", row.says, &text)
			}
		})
	}
}

// with gives members of the metadata, name and value in turn, a value; "" leaves the member out.
func with(pairs ...string) func(*fake) {
	return func(f *fake) {
		for pair := range slices.Chunk(pairs, 2) {
			if pair[1] == "" {
				f.metadata = f.metadata.Without(pair[0])
				continue
			}
			f.metadata = f.metadata.With(pair[0], pair[1])
		}
	}
}

// at changes pages.
func at(change func(p *page), places ...string) func(*fake) {
	return func(f *fake) {
		for _, place := range places {
			change(f.pages[place])
		}
	}
}

func body(text string) func(*page)    { return func(p *page) { p.body = text } }
func status(status int) func(*page)   { return func(p *page) { p.status = status } }
func without(name string) func(*page) { return func(p *page) { delete(p.header, name) } }
func having(name, value string) func(*page) {
	return func(p *page) { p.header[http.CanonicalHeaderKey(name)] = []string{value} }
}
func redirectTo(address string) func(*page) {
	return func(p *page) { p.status, p.header = 302, header("Location: "+address) }
}
func serving(handler http.HandlerFunc) func(*page) { return func(p *page) { p.serve = handler } }

// redirect answers with a redirect to another place of the issuer.
func redirect(from, to string) func(*fake) {
	return func(f *fake) {
		f.pages[to] = &page{serve: f.pageAt(from)}
		f.pages[from] = &page{status: 307, header: header("Location: " + to)}
	}
}

// pageAt serves what is at a place now, wherever it is asked for.
func (f *fake) pageAt(place string) http.HandlerFunc {
	p := *f.pages[place]
	if p.serve != nil {
		return p.serve
	}
	return func(w http.ResponseWriter, r *http.Request) { f.answer(w, r, place, p) }
}

func all(changes ...func(*fake)) func(*fake) {
	return func(f *fake) {
		for _, change := range changes {
			change(f)
		}
	}
}

// blind is what is found besides when no address is known.
func blind(faults ...string) []string {
	return append(faults, "note jwks.examined", "note token_endpoint.examined")
}

const both = oauthPlace + " " + openIDPlace

func bothPlaces(change func(*page)) func(*fake) { return at(change, strings.Fields(both)...) }

func TestMetadataPlaces(t *testing.T) {
	elsewhere := "http://issuer.example.com/metadata"
	runRows(t, []row{
		{"none", bothPlaces(status(404)), blind("error metadata.document"), "no metadata, neither at "},
		{"none, forbidden", bothPlaces(status(403)), blind("error metadata.document"), ""},
		{"server error", bothPlaces(status(500)), blind("error metadata.status", "error metadata.status"), ""},
		{"server error, and nothing at OpenID Connect's", all(at(status(500), oauthPlace), at(status(404), openIDPlace)),
			blind("error metadata.status"), oauthPlace + `" answers 500`},
		{"nothing, and server error at OpenID Connect's", all(at(status(404), oauthPlace), at(status(500), openIDPlace)),
			blind("error metadata.status"), openIDPlace + `" answers 500`},
		{"too many requests", bothPlaces(status(429)), blind("error metadata.status", "error metadata.status"), ""},
		{"server error, and OpenID Connect's good", at(status(503), oauthPlace),
			[]string{"error metadata.status"}, "503 (Service Unavailable)"},
		{"too many requests, and OpenID Connect's good", at(status(429), oauthPlace),
			[]string{"error metadata.status"}, "429 (Too Many Requests)"},
		{"unknown status", at(status(299), oauthPlace), []string{"error metadata.status"}, "answers 299"},
		{"OpenID Connect's broken", at(status(500), openIDPlace), []string{"warning metadata.status"}, ""},
		{"OpenID Connect's a page", at(body("\n<!doctype html>"), openIDPlace), []string{"warning metadata.html"}, ""},
		{"OpenID Connect's not JSON", at(body("metadata"), openIDPlace), []string{"warning metadata.json"}, ""},
		{"only OpenID Connect's", at(status(404), oauthPlace), []string{"note metadata.openid_only"}, openIDPlace},
		{"only RFC 8414's", at(status(404), openIDPlace), nil, ""},
		{"a page of HTML", bothPlaces(body(" <html>")),
			blind("error metadata.html", "error metadata.html"), ""},
		{"a page of HTML, and nothing at OpenID Connect's", all(at(body("<html>"), oauthPlace), at(status(404), openIDPlace)),
			blind("error metadata.html"), oauthPlace},
		{"redirect elsewhere, and nothing at OpenID Connect's", all(at(redirectTo(elsewhere), oauthPlace), at(status(404), openIDPlace)),
			blind("error metadata.redirect"), ""},
		{"too large", bothPlaces(body(`{"x":"` + strings.Repeat("x", 512<<10) + `"}`)),
			blind("error metadata.size", "error metadata.size"), ""},
		{"redirect elsewhere", bothPlaces(redirectTo(elsewhere)),
			blind("error metadata.redirect", "error metadata.redirect"), ""},
		{"redirect on the spot", redirect(oauthPlace, "/metadata"), []string{"error metadata.redirect"}, `/metadata"`},
		{"redirect on the spot, at OpenID Connect's", redirect(openIDPlace, "/metadata"), []string{"warning metadata.redirect"}, ""},
		{"redirect for ever", at(redirectTo(oauthPlace), oauthPlace),
			[]string{"error metadata.redirect"}, "302 (Found)"},
		{"an array", bothPlaces(body("[]")), blind("error metadata.json", "error metadata.json"), ""},
		{"half of it", bothPlaces(body(`{"issuer":`)), blind("error metadata.json", "error metadata.json"), ""},
		{"empty", bothPlaces(body(" ")), blind("error metadata.json", "error metadata.json"), ""},
		{"no content type", at(without("Content-Type"), oauthPlace), []string{"warning metadata.content_type"}, "no Content-Type"},
		{"text", bothPlaces(having("Content-Type", "text/plain")),
			[]string{"warning metadata.content_type", "warning metadata.content_type"}, `"text/plain"`},
		{"content type with parameter", bothPlaces(having("Content-Type", "Application/JSON; charset=utf-8")), nil, ""},
	})
}

func TestMetadataDiffer(t *testing.T) {
	other := func(name, value string) func(*fake) {
		return func(f *fake) { f.pages[openIDPlace].body = f.metadata.With(name, value).String() }
	}
	want := []string{"error metadata.differ"}
	runRows(t, []row{
		{"issuer", other("issuer", `"https://evil.example.com"`), want, `issuer is "http://127.0.0.1`},
		{"jwks_uri", other("jwks_uri", `"https://evil.example.com/jwks"`), want, `"https://evil.example.com/jwks" at OpenID Connect's`},
		{"no jwks_uri", other("jwks_uri", "null"), want, "absent at OpenID Connect's"},
		{"token_endpoint", other("token_endpoint", `"https://evil.example.com/token"`), want, ""},
		{"more members", other("subject_types_supported", `["public"]`), nil, ""},
	})
}

// Metadata astray are looked for only where the issuer has a path, and there are none elsewhere.
func TestMetadataAstray(t *testing.T) {
	t.Parallel()
	f := newFake(t, plain)
	f.pages["/tenants/a"+oauthPlace] = f.pages[oauthPlace]
	delete(f.pages, oauthPlace)
	delete(f.pages, openIDPlace)
	f.pages["/tenants/a"+oauthPlace].body = f.metadata.String()
	report := f.examineAs(configOf(f, "/tenants/a"))
	if diff := cmp.Diff(blind("error metadata.document", "error metadata.misplaced"), faults(report)); diff != "" {
		t.Error(diff)
	}
	if text := says(report, "metadata.misplaced"); text != `there are metadata at "`+f.URL+`/tenants/a`+oauthPlace+`"` {
		t.Error(text)
	}
}

// A page of HTML at RFC 8414's place is the cause, and the document astray a help; that nothing is there would be wrong.
func TestMetadataAstrayBehindHTML(t *testing.T) {
	t.Parallel()
	f := newFake(t, plain)
	f.pages["/tenants/a"+oauthPlace] = &page{status: 200, header: header("Content-Type: application/json"), body: f.metadata.String()}
	f.pages[oauthPlace+"/tenants/a"] = &page{status: 200, header: header("Content-Type: text/html"), body: "<html>"}
	report := f.examineAs(configOf(f, "/tenants/a"))
	if diff := cmp.Diff(blind("error metadata.html", "error metadata.misplaced"), faults(report)); diff != "" {
		t.Error(diff)
	}
}

func TestMetadataIssuer(t *testing.T) {
	issuer := func(change func(string) string) func(*fake) {
		return func(f *fake) { f.metadata = f.metadata.With("issuer", strconv.Quote(change(f.URL))) }
	}
	want := []string{"error metadata.issuer"}
	runRows(t, []row{
		{"another", with("issuer", `"https://evil.example.com"`), want, `names itself "https://evil.example.com", but`},
		{"missing", with("issuer", ""), want, "issuer is missing"},
		{"null", with("issuer", "null"), want, "issuer is missing"},
		{"slash", issuer(func(s string) string { return s + "/" }), want, "they differ in the slash at the end"},
		{"case", issuer(strings.ToUpper), want, "they differ in upper and lower case"},
		{"path", issuer(func(s string) string { return s + "/a" }), want, `/a", but was asked for as `},
		{"a number", with("issuer", "1"), []string{"error metadata.issuer", "error metadata.type"}, ""},
	})
}

// The slash is found whether it is the issuer that has it or the question.
func TestIdentifierSlash(t *testing.T) {
	t.Parallel()
	f := newFake(t, plain)
	report := f.examineAs(configOf(f, "/"))
	if diff := cmp.Diff([]string{"error metadata.issuer", "note identifier.trailing_slash"}, faults(report)); diff != "" {
		t.Error(diff)
	}
	if text := says(report, "metadata.issuer"); !strings.HasSuffix(text, "they differ in the slash at the end") {
		t.Error(text)
	}
}

func TestMetadataMembers(t *testing.T) {
	twice := func(name, value string) func(*fake) {
		return func(f *fake) { f.metadata = f.metadata.Twice(name, value) }
	}
	const (
		methods = "token_endpoint_auth_methods_supported"
		algs    = "token_endpoint_auth_signing_alg_values_supported"
	)
	onlyNote := []string{"note token_endpoint.examined"}
	runRows(t, []row{
		{"member twice", twice("token_endpoint", `"http://127.0.0.1/token#"`), append([]string{"error metadata.address",
			"error metadata.duplicate_member"}, append(onlyNote, "warning metadata.duplicate_member")...), ""},
		{"member twice, unknown", twice("response_types_supported", `["none"]`),
			[]string{"error metadata.duplicate_member", "warning metadata.duplicate_member"}, "response_types_supported"},
		{"member twice, far inside", twice("x", `[{"y":{"z":1,"z":2}}]`),
			[]string{"error metadata.duplicate_member", "warning metadata.duplicate_member"}, `has a member twice: duplicate object member name "z"`},
		{"escaped name", twice(`\u0078`, "1"), []string{"error metadata.json", "warning metadata.json"}, "member name with an escape"},
		{"bad UTF-8", twice("x", "\"\xff\""), []string{"error metadata.json", "warning metadata.json"}, "UTF-8"},
		{"no jwks_uri", with("jwks_uri", ""), []string{"error metadata.jwks_uri", "note jwks.examined"}, "jwks_uri is missing"},
		{"no token_endpoint", with("token_endpoint", ""), append([]string{"error metadata.token_endpoint"}, onlyNote...), ""},
		{"jwks_uri a number", with("jwks_uri", "1"),
			[]string{"error metadata.jwks_uri", "error metadata.type", "note jwks.examined"}, "jwks_uri is missing"},
		{"list a string", with("grant_types_supported", `"client_credentials"`),
			[]string{"error metadata.type", "note metadata.grant_types"}, "grant_types_supported"},
		{"list of numbers", with(algs, "[1]"), []string{"error metadata.type", "warning metadata.auth_algs"}, algs},
		{"jwks_uri plain", with("jwks_uri", `"http://issuer.example.com/jwks"`),
			[]string{"error metadata.plain_http", "note jwks.examined"}, `"jwks_uri" is "http://issuer.example.com/jwks"`},
		{"jwks_uri plain, in capitals", with("jwks_uri", `"HTTP://issuer.example.com/jwks"`),
			[]string{"error metadata.plain_http", "note jwks.examined"}, ""},
		{"token_endpoint plain", with("token_endpoint", `"http://10.0.0.1/token"`), append([]string{"error metadata.plain_http"}, onlyNote...), ""},
		{"another endpoint plain", with("introspection_endpoint", `"http://issuer.example.com/introspect"`),
			[]string{"error metadata.plain_http"}, "introspection_endpoint"},
		{"jwks_uri relative", with("jwks_uri", `"/jwks"`), []string{"error metadata.address", "note jwks.examined"}, `jwks_uri is "/jwks"`},
		{"jwks_uri with user", with("jwks_uri", `"https://me:secret@issuer.example.com/jwks"`),
			[]string{"error metadata.address", "note jwks.examined"}, ""},
		{"jwks_uri a file", with("jwks_uri", `"file:///etc/passwd"`), []string{"error metadata.address", "note jwks.examined"}, ""},
		{"token_endpoint with fragment", with("token_endpoint", `"https://issuer.example.com/token#a"`),
			append([]string{"error metadata.address"}, onlyNote...), ""},
		{"jwks_uri on another host", func(f *fake) {
			f.metadata = f.metadata.With("jwks_uri", strconv.Quote(strings.Replace(f.URL, "127.0.0.1", "localhost", 1)+jwksPlace))
		}, []string{"note metadata.jwks_uri_host"}, `on another host: "localhost:`},

		{"only secrets", with(methods, `["client_secret_basic"]`), []string{"warning metadata.auth_methods"}, `private_key_jwt: "client_secret_basic"`},
		{"no methods", with(methods, ""), []string{"warning metadata.auth_methods"}, "missing, which means client_secret_basic"},
		{"certificates", with(methods, `["tls_client_auth"]`), []string{"note metadata.auth_methods"}, ""},
		{"certificates of their own", with(methods, `["self_signed_tls_client_auth"]`), []string{"note metadata.auth_methods"}, ""},
		{"none", with(methods, `["private_key_jwt","none"]`), []string{"note metadata.auth_method_none"}, ""},
		{"no algorithms", with(algs, ""), []string{"warning metadata.auth_algs"}, "is missing"},
		{"no algorithms, none needed", with(algs, "", methods, `["client_secret_basic"]`), []string{"warning metadata.auth_methods"}, ""},
		{"no algorithms, for secrets", with(algs, "", methods, `["client_secret_jwt"]`),
			[]string{"warning metadata.auth_algs", "warning metadata.auth_methods"}, ""},
		{"algorithm none", with(algs, `["ES256","none"]`), []string{"error metadata.auth_alg_none"}, ""},
		{"algorithm None", with(algs, `["ES256","None"]`), []string{"error metadata.auth_alg_none"}, ""},
		{"HMAC", with(algs, `["ES256","HS256","HS512"]`), []string{"note metadata.auth_alg_hmac"}, `lists "HS256", "HS512"`},
		{"none of ours", with(algs, `["ES384","PS256"]`), []string{"warning metadata.auth_algs"}, `with "ES384", "PS256" only`},
		{"other grants", with("grant_types_supported", `["authorization_code"]`), []string{"warning metadata.grant_types"}, `"authorization_code"`},
		{"no grants", with("grant_types_supported", ""), []string{"note metadata.grant_types"}, ""},
		{"no response types", with("response_types_supported", ""), []string{"note metadata.response_types"}, ""},
		{"empty response types", with("response_types_supported", "[ ]"), []string{"note metadata.empty_array"}, `"response_types_supported"`},
		{"empty, unknown", with("scopes_supported", "[]"), []string{"note metadata.empty_array"}, `"scopes_supported"`},
		{"not empty, nested", with("x", "[[]]"), nil, ""},
	})
}
