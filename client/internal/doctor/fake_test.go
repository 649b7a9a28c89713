package doctor_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.com/signet/client/internal/doctor"
	"example.com/signet/keys/keystest"
)

const (
	oauthPlace  = "/.well-known/oauth-authorization-server"
	openIDPlace = "/.well-known/openid-configuration"
	jwksPlace   = "/.well-known/jwks.json"
	tokenPlace  = "/oauth2/token"
	tokenByGET  = "GET " + tokenPlace
)

// page is what is served at a place.
type page struct {
	status int
	header http.Header // of the answer, as written: to leave one out, delete it
	body   string
	serve  http.HandlerFunc // instead of all that
}

// fake is an issuer that answers as Signet's does until a test changes what it says.
type fake struct {
	*httptest.Server
	t        *testing.T
	clock    *keystest.Clock // ours; the issuer's is ahead of it
	ahead    time.Duration
	metadata keystest.Object // rendered to both places unless they have a body
	keys     []keystest.Object
	pages    map[string]*page

	mu       sync.Mutex
	requests []string // guarded by mu
}

func newFake(t *testing.T, start func(*httptest.Server)) *fake {
	f := &fake{t: t, clock: keystest.NewClock()}
	f.Server = httptest.NewUnstartedServer(f)
	start(f.Server)
	t.Cleanup(f.Close)
	f.metadata = keystest.Object(nil).
		With("issuer", strconv.Quote(f.URL)).
		With("token_endpoint", strconv.Quote(f.URL+tokenPlace)).
		With("jwks_uri", strconv.Quote(f.URL+jwksPlace)).
		With("response_types_supported", `["none"]`).
		With("grant_types_supported", `["client_credentials"]`).
		With("token_endpoint_auth_methods_supported", `["private_key_jwt","client_secret_basic","client_secret_post"]`).
		With("token_endpoint_auth_signing_alg_values_supported", `["ES256","RS256"]`)
	for _, name := range []string{keystest.ES256, keystest.RS256, keystest.ES256Other, keystest.RS256Other} {
		f.keys = append(f.keys, publicJWK(name))
	}
	f.pages = map[string]*page{
		oauthPlace:  {status: 200, header: header("Content-Type: application/json", "Cache-Control: public, max-age=3600")},
		openIDPlace: {status: 200, header: header("Content-Type: application/json", "Cache-Control: public, max-age=3600")},
		jwksPlace: {status: 200, header: header("Content-Type: application/jwk-set+json", "Cache-Control: public, max-age=300",
			"Access-Control-Allow-Origin: *", "ETag: made")},
		tokenPlace: {status: 401, header: header("Content-Type: application/json", "Cache-Control: no-store",
			`WWW-Authenticate: Basic realm="signet", charset="UTF-8"`),
			body: `{"error":"invalid_client","error_description":"client authentication failed"}`},
		tokenByGET: {status: 405, header: header("Content-Type: application/json", "Allow: POST"), body: `{"error":"invalid_request"}`},
	}
	return f
}

func plain(s *httptest.Server)  { s.Start() }
func secure(s *httptest.Server) { s.StartTLS() }

// header reads lines of name and value.
func header(lines ...string) http.Header {
	h := make(http.Header)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

// publicJWK is a key as it stands in our JWK Set.
func publicJWK(name string) keystest.Object {
	text, err := keystest.Set(name).MarshalJSON()
	if err != nil {
		panic(err)
	}
	var document struct {
		Keys []map[string]jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		panic(err)
	}
	var jwk keystest.Object
	for _, member := range slices.Sorted(maps.Keys(document.Keys[0])) {
		jwk = append(jwk, keystest.Member{Name: member, Value: string(document.Keys[0][member])})
	}
	return jwk
}

func (f *fake) jwks() string {
	var texts []string
	for _, key := range f.keys {
		texts = append(texts, key.String())
	}
	return `{"keys":[` + strings.Join(texts, ",") + "]}\n"
}

// ServeHTTP holds every request to what a doctor may send: no credential, nothing in the body.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.record(r)
	place := r.URL.Path
	if place == tokenPlace && r.Method == http.MethodGet {
		place = tokenByGET
	}
	p := f.pages[place]
	switch {
	case p == nil:
		http.NotFound(w, r)
		return
	case p.serve != nil:
		p.serve(w, r)
		return
	}
	f.answer(w, r, place, *p)
}

func (f *fake) record(r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || len(body) > 0 || r.URL.RawQuery != "" || r.Header["Authorization"] != nil || r.Header["Cookie"] != nil {
		f.t.Errorf("%s %s with %d octets, %v, header %v", r.Method, r.URL, len(body), err, r.Header)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, r.Method+" "+r.URL.Path)
}

func (f *fake) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

func (f *fake) answer(w http.ResponseWriter, r *http.Request, place string, p page) {
	switch place {
	case oauthPlace, openIDPlace:
		p.body = cmp.Or(p.body, f.metadata.String())
	case jwksPlace:
		p.body = cmp.Or(p.body, f.jwks())
	}
	w.Header().Set("Date", f.clock.Now().Add(f.ahead).Format(http.TimeFormat))
	for name, values := range p.header {
		w.Header()[name] = values
	}
	if _, typed := p.header["Content-Type"]; !typed {
		w.Header()["Content-Type"] = nil // or net/http makes one up
	}
	if w.Header().Get("ETag") == "made" {
		sum := sha256.Sum256([]byte(p.body))
		tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:9]) + `"`
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.WriteHeader(p.status)
	_, _ = io.WriteString(w, p.body)
}

// examine examines the fake under the name of its own and its own clock, and holds the report to what holds for all.
func (f *fake) examine() doctor.Report {
	f.t.Helper()
	return f.examineAs(doctor.Config{Issuer: f.URL, HTTPClient: f.Client()})
}

func (f *fake) examineAs(cfg doctor.Config) doctor.Report {
	f.t.Helper()
	cfg.Now = f.clock.Now
	if cfg.HTTPClient != nil {
		cfg.HTTPClient.Transport.(*http.Transport).DialContext = f.dial
	}
	report, err := doctor.Examine(f.t.Context(), cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	checkReport(f.t, report)
	if n := len(f.asked()); n > 12 {
		f.t.Errorf("%d requests: %q", n, f.asked())
	}
	return report
}

// dial reaches nothing but this machine.
func (f *fake) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if host, _, err := net.SplitHostPort(address); err != nil || (host != "127.0.0.1" && host != "localhost") {
		f.t.Errorf("a connection to %s", address)
		return nil, errors.New("no network")
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// faults are grade and check of each finding that is not good, but for the one that every fake on plain http has.
func faults(report doctor.Report) []string {
	var found []string
	for _, f := range report.Findings {
		if f.Grade != doctor.Good && f.Check != "identifier.scheme" {
			found = append(found, f.Grade.String()+" "+f.Check)
		}
	}
	slices.Sort(found)
	return found
}

// says returns what the findings of a check say.
func says(report doctor.Report, check string) string {
	var found []string
	for _, f := range report.Findings {
		if f.Check == check {
			found = append(found, f.Says)
		}
	}
	return strings.Join(found, "\n")
}
