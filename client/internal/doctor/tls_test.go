package doctor_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/client/internal/doctor"
)

// move sets the clock so that the certificate ends in d.
func (f *fake) move(d time.Duration) {
	f.clock.Advance(f.Certificate().NotAfter.Add(-d).Sub(f.clock.Now()))
}

func TestTLS(t *testing.T) {
	t.Parallel()
	upTo := func(version uint16) func(*httptest.Server) {
		return func(s *httptest.Server) {
			s.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: version}
			s.StartTLS()
		}
	}
	const day = 24 * time.Hour
	rows := []struct {
		name  string
		start func(*httptest.Server)
		left  time.Duration
		want  []string
		says  string
	}{
		{"TLS 1.1", upTo(tls.VersionTLS11), 100 * day, []string{"error tls.version"}, "speaks TLS 1.1"},
		{"TLS 1.2", upTo(tls.VersionTLS12), 100 * day, []string{"note tls.version"}, "speaks TLS 1.2, not 1.3"},
		{"certificate has ended", secure, -time.Second, []string{"error tls.certificate"}, "ended on 2084-01-29"},
		{"certificate ends tomorrow", secure, 2*day - time.Second, []string{"error tls.certificate"}, "ends in 47 hours, on 2084-01-29"},
		{"certificate ends in two days", secure, 2 * day, []string{"warning tls.certificate"}, "ends in 2 days, on 2084-01-29"},
		{"certificate ends in two weeks", secure, 14*day - time.Second, []string{"warning tls.certificate"}, ""},
		{"certificate is good", secure, 14 * day, nil, ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, row.start)
			f.move(row.left)
			client := f.Client()
			client.Transport.(*http.Transport).TLSClientConfig.MinVersion = tls.VersionTLS10
			report := f.examineAs(doctor.Config{Issuer: f.URL, HTTPClient: client})
			if diff := cmp.Diff(row.want, faults(report)); diff != "" {
				t.Error(diff)
			}
			text := says(report, "tls.version") + says(report, "tls.certificate")
			if !strings.Contains(text, row.says) || says(report, "identifier.scheme") != "the issuer identifier is https" {
				t.Error(report)
			}
		})
	}
}

// A certificate that nobody vouches for is the reason why there is no answer.
func TestTLSUnknownAuthority(t *testing.T) {
	t.Parallel()
	f := newFake(t, secure)
	f.Config.ErrorLog = quiet
	report := f.examineAs(doctor.Config{Issuer: f.URL})
	if diff := cmp.Diff(blind("error metadata.reachable"), faults(report)); diff != "" {
		t.Error(diff)
	}
	const reason = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
	if text := says(report, "metadata.reachable"); !strings.HasSuffix(text, reason) {
		t.Error(text)
	}
}

// An issuer that is https has no business to send anybody to an address that is not, even on loopback.
func TestHTTPSIssuerNamesHTTP(t *testing.T) {
	t.Parallel()
	other := newFake(t, plain)
	f := newFake(t, secure)
	f.move(100 * 24 * time.Hour)
	with("jwks_uri", strconv.Quote(other.URL+jwksPlace), "token_endpoint", strconv.Quote(other.URL+tokenPlace))(f)
	report := f.examine()
	if diff := cmp.Diff(blind("error metadata.plain_http"), faults(report)); diff != "" {
		t.Error(diff)
	}
	if asked := other.asked(); len(asked) > 0 {
		t.Errorf("asked %q", asked)
	}
}

// Each host is looked at once.
func TestTLSHosts(t *testing.T) {
	t.Parallel()
	other := newFake(t, secure)
	f := newFake(t, secure)
	f.move(100 * 24 * time.Hour)
	other.move(100 * 24 * time.Hour)
	with("jwks_uri", strconv.Quote(other.URL+jwksPlace))(f)
	report := f.examine()
	if diff := cmp.Diff([]string{"note metadata.jwks_uri_host"}, faults(report)); diff != "" {
		t.Error(diff)
	}
	host := func(f *fake) string { return strconv.Quote(strings.TrimPrefix(f.URL, "https://")) }
	if diff := cmp.Diff(host(f)+" speaks TLS 1.3\n"+host(other)+" speaks TLS 1.3", says(report, "tls.version")); diff != "" {
		t.Error(diff)
	}
}
