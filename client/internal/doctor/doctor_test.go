package doctor_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/client/internal/doctor"
	"example.com/signet/keys/keystest"
	"example.com/signet/keys/remote"
)

// refuseAll is a network that must not be used.
type refuseAll struct{ t *testing.T }

func (n refuseAll) RoundTrip(r *http.Request) (*http.Response, error) {
	n.t.Errorf("a request to %s", r.URL)
	return nil, errors.New("no network")
}

func TestExamineRefuses(t *testing.T) {
	t.Parallel()
	rows := []struct{ name, issuer string }{
		{"empty", ""},
		{"http elsewhere", "http://issuer.example.com"},
		{"query", "https://issuer.example.com?a=b"},
		{"fragment", "https://issuer.example.com#a"},
		{"user", "https://me:secret@issuer.example.com"},
		{"escape", "https://issuer.example.com/\x1b[2J"},
		{"file", "file:///etc/passwd"},
	}
	for _, row := range rows {
		report, err := doctor.Examine(t.Context(), doctor.Config{Issuer: row.issuer, HTTPClient: &http.Client{Transport: refuseAll{t}}})
		if !errors.Is(err, remote.ErrURL) || len(report.Findings) > 0 {
			t.Errorf("%s: %v, %+v", row.name, err, report)
		}
	}
}

// What answers as Signet's issuer does has no fault, and each area has something good to say.
func TestExamineGood(t *testing.T) {
	t.Parallel()
	f := newFake(t, plain)
	report := f.examine()
	if report.Worst() != doctor.Note || report.Issuer != f.URL {
		t.Errorf("%+v", report)
	}
	if text := says(report, "identifier.scheme") + "\n" + says(report, "metadata.issuer"); text !=
		"the issuer identifier is http, on loopback: good for development only (RFC 8414 §2)\nthe metadata name the issuer that was asked for" {
		t.Error(text)
	}
	var got []string
	for _, finding := range report.Findings {
		got = append(got, finding.Grade.String()+" "+finding.Check)
	}
	want := []string{
		"note identifier.scheme", "ok metadata.document", "ok metadata.issuer", "ok metadata.jwks_uri", "ok metadata.token_endpoint",
		"ok metadata.auth_methods", "ok metadata.grant_types", "ok jwks.usable", "ok cache.max_age", "ok cache.next_key",
		"ok cache.replicas", "ok cache.conditional", "ok token_endpoint.error", "ok token_endpoint.no_store", "ok clock",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	asked := []string{"GET " + oauthPlace, "GET " + openIDPlace, "GET " + jwksPlace, "GET " + jwksPlace, "GET " + jwksPlace,
		"POST " + tokenPlace, "GET " + tokenPlace}
	if diff := cmp.Diff(asked, f.asked()); diff != "" {
		t.Error(diff)
	}
}

// An issuer with a path has its metadata elsewhere.
func TestExamineGoodWithPath(t *testing.T) {
	t.Parallel()
	f := newFake(t, plain)
	f.pages[oauthPlace+"/tenants/a"], f.pages["/tenants/a"+openIDPlace] = f.pages[oauthPlace], f.pages[openIDPlace]
	delete(f.pages, oauthPlace)
	delete(f.pages, openIDPlace)
	f.metadata = f.metadata.With("issuer", `"`+f.URL+`/tenants/a"`)
	for _, place := range []string{oauthPlace + "/tenants/a", "/tenants/a" + openIDPlace} {
		f.pages[place].body = f.metadata.String()
	}
	report := f.examineAs(configOf(f, "/tenants/a"))
	if found := faults(report); len(found) > 0 {
		t.Error(found, report)
	}
}

// A client of its own leaves no connection behind, of which the token endpoint's would live on.
func TestExamineWithItsOwnClient(t *testing.T) {
	t.Parallel()
	var opened, closed atomic.Int64
	f := newFake(t, func(s *httptest.Server) {
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				opened.Add(1)
			case http.StateClosed:
				closed.Add(1)
			}
		}
		s.Start()
	})
	if found := faults(f.examineAs(doctor.Config{Issuer: f.URL})); len(found) > 0 {
		t.Error(found)
	}
	for deadline := time.Now().Add(10 * time.Second); opened.Load() != closed.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections were opened and %d closed", opened.Load(), closed.Load())
		}
	}
	if opened.Load() == 0 {
		t.Error("no connection")
	}
}

func TestExamineContext(t *testing.T) {
	t.Parallel()
	f := newFake(t, plain)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if report, err := doctor.Examine(ended, doctor.Config{Issuer: f.URL}); !errors.Is(err, context.Canceled) || len(report.Findings) > 0 {
		t.Errorf("%v, %+v", err, report)
	}
	if asked := f.asked(); len(asked) > 0 {
		t.Errorf("asked %q", asked)
	}
	f.pages[jwksPlace].serve = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := doctor.Examine(short, doctor.Config{Issuer: f.URL}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// Nobody there is a finding, and no reason to ask on.
func TestExamineIssuerAway(t *testing.T) {
	t.Parallel()
	address, err := keystest.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	report, err := doctor.Examine(t.Context(), doctor.Config{Issuer: "http://" + address})
	if err != nil {
		t.Fatal(err)
	}
	checkReport(t, report)
	want := []string{"error metadata.reachable", "note jwks.examined", "note token_endpoint.examined"}
	if diff := cmp.Diff(want, faults(report)); diff != "" {
		t.Error(diff)
	}
	if text := says(report, "metadata.reachable"); text != `"http://`+address+oauthPlace+`": dial tcp `+address+": connect: connection refused" {
		t.Error(text)
	}
}

func configOf(f *fake, path string) doctor.Config {
	return doctor.Config{Issuer: f.URL + path, HTTPClient: f.Client()}
}
