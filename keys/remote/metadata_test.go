package remote_test

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/keys/remote"
)

const (
	oauthPlace  = "/.well-known/oauth-authorization-server"
	openidPlace = "/.well-known/openid-configuration"
)

// issuerSite is a server whose documents may name it: %s in a body is its URL.
func issuerSite(t *testing.T, documents map[string]string) (*site, *[]string) {
	t.Helper()
	var mu sync.Mutex
	var asked []string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.URL.Path)
		mu.Unlock()
		body, ok := documents[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if code, failed := strings.CutPrefix(body, "status "); failed {
			http.Error(w, code, map[string]int{"500": 500, "403": 403, "410": 410}[code])
			return
		}
		_, _ = w.Write([]byte(strings.ReplaceAll(body, "%s", "http://"+r.Host)))
	})
	return s, &asked
}

func TestMetadataRefuses(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		body string
		want error
		text string
	}{
		{"another issuer", `{"issuer":"https://evil.example.com","jwks_uri":"%s/k"}`, remote.ErrIssuer, "evil.example.com"},
		{"a trailing slash", `{"issuer":"%s/","jwks_uri":"%s/k"}`, remote.ErrIssuer, ""},
		{"another letter case", `{"issuer":"HTTP://127.0.0.1","jwks_uri":"%s/k"}`, remote.ErrIssuer, ""},
		{"no issuer", `{"jwks_uri":"%s/k"}`, remote.ErrIssuer, ""},
		{"issuer null", `{"issuer":null,"jwks_uri":"%s/k"}`, remote.ErrIssuer, ""},
		{"issuer an array", `{"issuer":["%s"],"jwks_uri":"%s/k"}`, remote.ErrDocument, ""},
		{"issuer twice", `{"issuer":"%s","issuer":"%s","jwks_uri":"%s/k"}`, remote.ErrDocument, ""},
		{"Issuer in another letter case", `{"Issuer":"%s","jwks_uri":"%s/k"}`, remote.ErrIssuer, ""},
		{"HTML", `<html>`, remote.ErrDocument, ""},
		{"an array", `[]`, remote.ErrDocument, ""},
		{"null", `null`, remote.ErrDocument, ""},
		{"empty", ``, remote.ErrDocument, ""},
		{"more behind", `{"issuer":"%s"} {}`, remote.ErrDocument, ""},
		{"jwks_uri a number", `{"issuer":"%s","jwks_uri":1}`, remote.ErrDocument, ""},
		{"jwks_uri plain http elsewhere", `{"issuer":"%s","jwks_uri":"http://192.0.2.1/k"}`, remote.ErrURL, "neither https nor loopback"},
		{"jwks_uri that begins like loopback", `{"issuer":"%s","jwks_uri":"http://127.0.0.1.evil.example.com/k"}`, remote.ErrURL, ""},
		{"jwks_uri with a user", `{"issuer":"%s","jwks_uri":"http://127.0.0.1@evil.example.com/k"}`, remote.ErrURL, ""},
		{"jwks_uri a file", `{"issuer":"%s","jwks_uri":"file:///etc/passwd"}`, remote.ErrURL, ""},
		{"jwks_uri relative", `{"issuer":"%s","jwks_uri":"/k"}`, remote.ErrURL, ""},
		{"token_endpoint plain http elsewhere", `{"issuer":"%s","token_endpoint":"http://192.0.2.1/t"}`, remote.ErrURL, ""},
		{"too long", `{"issuer":"%s","x":"` + strings.Repeat("x", 600<<10) + `"}`, remote.ErrFetch, "longer"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s, asked := issuerSite(t, map[string]string{oauthPlace: row.body, openidPlace: `{"issuer":"%s"}`})
			got, err := remote.Fetcher{}.Metadata(t.Context(), s.URL)
			wantError(t, err, row.want, row.text)
			if !reflect.DeepEqual(got, remote.Metadata{}) {
				t.Errorf("metadata beside the error: %+v", got)
			}
			if diff := cmp.Diff([]string{oauthPlace}, *asked); diff != "" {
				t.Errorf("a bad document is no reason to look elsewhere: %s", diff)
			}
		})
	}
}

// The second place is for servers that have nothing at the first, not for those that fail to answer.
func TestMetadataPlaces(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name      string
		path      string // of the issuer
		documents map[string]string
		asked     []string
		want      error
	}{
		{"RFC 8414", "", map[string]string{oauthPlace: `{"issuer":"%s"}`}, []string{oauthPlace}, nil},
		{"OpenID Connect when RFC 8414 is 404", "", map[string]string{openidPlace: `{"issuer":"%s"}`},
			[]string{oauthPlace, openidPlace}, nil},
		{"neither", "", nil, []string{oauthPlace, openidPlace}, remote.ErrFetch},
		{"500", "", map[string]string{oauthPlace: "status 500", openidPlace: `{"issuer":"%s"}`}, []string{oauthPlace}, remote.ErrFetch},
		{"429", "", map[string]string{oauthPlace: "status 429", openidPlace: `{"issuer":"%s"}`}, []string{oauthPlace}, remote.ErrFetch},
		{"403, to whoever is not logged in", "", map[string]string{oauthPlace: "status 403", openidPlace: `{"issuer":"%s"}`},
			[]string{oauthPlace, openidPlace}, nil},
		{"410", "", map[string]string{oauthPlace: "status 410", openidPlace: `{"issuer":"%s"}`},
			[]string{oauthPlace, openidPlace}, nil},
		{"404, and the second is another's", "", map[string]string{openidPlace: `{"issuer":"%s/b"}`},
			[]string{oauthPlace, openidPlace}, remote.ErrIssuer},
		{"a path goes behind the well-known name", "/tenants/a", // RFC 8414 §3.1
			map[string]string{oauthPlace + "/tenants/a": `{"issuer":"%s/tenants/a"}`}, []string{oauthPlace + "/tenants/a"}, nil},
		{"and before the other one", "/tenants/a",
			map[string]string{"/tenants/a" + openidPlace: `{"issuer":"%s/tenants/a"}`},
			[]string{oauthPlace + "/tenants/a", "/tenants/a" + openidPlace}, nil},
		{"the path's slash at the end is left out", "/a/", // RFC 8414 §3.1
			map[string]string{oauthPlace + "/a": `{"issuer":"%s/a/"}`}, []string{oauthPlace + "/a"}, nil},
		{"the root's slash too", "/", map[string]string{oauthPlace: `{"issuer":"%s/"}`}, []string{oauthPlace}, nil},
		{"another tenant's document", "/a",
			map[string]string{oauthPlace + "/a": `{"issuer":"%s/b"}`}, []string{oauthPlace + "/a"}, remote.ErrIssuer},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s, asked := issuerSite(t, row.documents)
			got, err := remote.Fetcher{}.Metadata(t.Context(), s.URL+row.path)
			if row.want != nil {
				wantError(t, err, row.want, "")
			} else if err != nil || got.Issuer != s.URL+row.path {
				t.Errorf("%+v, %v", got, err)
			}
			if !slices.Equal(*asked, row.asked) {
				t.Errorf("asked for %q, want %q", *asked, row.asked)
			}
		})
	}
}

func TestMetadataReads(t *testing.T) {
	t.Parallel()
	s, _ := issuerSite(t, map[string]string{oauthPlace: ` {"issuer":"%s","jwks_uri":"%s/k","token_endpoint":"%s/t",
		"grant_types_supported":["client_credentials"]}` + "\n"})
	got, err := remote.Fetcher{}.Metadata(t.Context(), s.URL)
	if err != nil {
		t.Fatal(err)
	}
	want := remote.Metadata{Issuer: s.URL, JWKSURI: s.URL + "/k", TokenEndpoint: s.URL + "/t"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMetadataUnreachable(t *testing.T) {
	t.Parallel()
	gone := serve(t, hang)
	gone.Close()
	_, err := remote.Fetcher{}.Metadata(t.Context(), gone.URL)
	wantError(t, err, remote.ErrFetch, "")

	slow := serve(t, hang)
	start := time.Now()
	_, err = remote.Fetcher{}.Metadata(soon(t, 100*time.Millisecond), slow.URL)
	wantError(t, err, remote.ErrFetch, "")
	if took := time.Since(start); took > 2*time.Second || slow.requests.Load() != 1 {
		t.Errorf("took %v and %d requests", took, slow.requests.Load())
	}
}
