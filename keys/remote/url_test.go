package remote_test

import (
	"errors"
	"net/http"
	"testing"

	"example.com/signet/keys/remote"
)

var urlRows = []struct {
	name    string
	address string
	ok      bool
}{
	{"https", "https://issuer.example.com", true},
	{"https, port, path, query", "https://issuer.example.com:8443/a/b?c=d", true},
	{"https by address", "https://192.0.2.1", true},
	{"scheme in capitals", "HTTPS://issuer.example.com", true},
	{"loopback", "http://127.0.0.1:8080", true},
	{"anywhere in loopback", "http://127.8.9.10", true},
	{"loopback, IPv6", "http://[::1]:8080/a", true},
	{"localhost", "http://localhost:8080", true},

	{"http elsewhere", "http://issuer.example.com", false},
	{"http, private network", "http://10.0.0.1", false},
	{"http, link-local", "http://169.254.169.254/latest/meta-data", false},
	{"http, every interface", "http://0.0.0.0:8080", false},
	{"http, every interface, IPv6", "http://[::]:8080", false},
	{"begins like loopback", "http://127.0.0.1.evil.example.com", false},
	{"begins like localhost", "http://localhost.evil.example.com", false},
	{"localhost with a dot", "http://localhost./", false},
	{"loopback as a number", "http://2130706433", false},
	{"loopback in octal", "http://0177.0.0.1", false},
	{"loopback cut short", "http://127.1", false},
	{"loopback as user", "http://127.0.0.1@evil.example.com", false},
	{"user", "https://me@issuer.example.com", false},
	{"user and password", "https://me:secret@issuer.example.com", false},
	{"user on loopback", "http://me:secret@127.0.0.1", false},
	{"fragment", "https://issuer.example.com/#a", false},
	{"other scheme", "ftp://issuer.example.com", false},
	{"file", "file:///etc/passwd", false},
	{"unix", "unix://localhost/run/issuer.sock", false},
	{"javascript", "javascript://localhost/%0aalert(1)", false},
	{"data", "data:application/json,{}", false},
	{"no scheme", "issuer.example.com", false},
	{"scheme left out", "//issuer.example.com", false},
	{"no host", "https://", false},
	{"port and no host", "https:///a", false},
	{"relative", "/a", false},
	{"opaque", "https:issuer.example.com", false},
	{"empty", "", false},
	{"space", " https://issuer.example.com", false},
	{"line break", "https://issuer.example.com\n", false},
	{"NUL", "https://issuer.example.com\x00", false},
	{"port not a number", "https://issuer.example.com:x", false},
	{"bad escape in host", "https://%zz", false},
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	for _, row := range urlRows {
		err := remote.CheckURL(row.address)
		if (err == nil) != row.ok || (err != nil && !errors.Is(err, remote.ErrURL)) {
			t.Errorf("%s: %q: %v", row.name, row.address, err)
		}
	}
}

// refuseAll is a network that must not be used.
type refuseAll struct{ t *testing.T }

func (n refuseAll) RoundTrip(r *http.Request) (*http.Response, error) {
	n.t.Errorf("a request to %s", r.URL)
	return nil, errors.New("no network")
}

// What CheckURL refuses is never asked, whoever gives the address.
func TestRefusedURLIsNotAsked(t *testing.T) {
	t.Parallel()
	fetcher := remote.Fetcher{Client: &http.Client{Transport: refuseAll{t}}}
	for _, row := range urlRows {
		if row.ok {
			continue
		}
		_, err := fetcher.JWKS(t.Context(), row.address, nil)
		wantError(t, err, remote.ErrURL, "")
		_, err = fetcher.Metadata(t.Context(), row.address)
		wantError(t, err, remote.ErrURL, "")
	}
}

// An issuer identifier has neither query nor fragment (RFC 8414 §2); a place to fetch from may have a query.
func TestCheckIssuer(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name   string
		issuer string
		ok     bool
	}{
		{"host", "https://issuer.example.com", true},
		{"path", "https://issuer.example.com/tenants/a", true},
		{"slash", "https://issuer.example.com/", true},
		{"query", "https://issuer.example.com?a=b", false},
		{"empty query", "https://issuer.example.com?", false},
		{"fragment", "https://issuer.example.com#a", false},
		{"empty fragment", "https://issuer.example.com#", false},
		{"http elsewhere", "http://issuer.example.com", false},
		{"empty", "", false},
	}
	for _, row := range rows {
		err := remote.CheckIssuer(row.issuer)
		if (err == nil) != row.ok || (err != nil && !errors.Is(err, remote.ErrURL)) {
			t.Errorf("%s: %q: %v", row.name, row.issuer, err)
		}
	}
}
