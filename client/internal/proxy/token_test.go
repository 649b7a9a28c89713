package proxy_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"example.com/signet/client/tokens"
)

// When there is no token, the program learns whose fault it is, and nothing of the cause; the log has that.
func TestNoToken(t *testing.T) {
	t.Parallel()
	loose := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(loose, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(loose, 0o644); err != nil {
		t.Fatal(err)
	}
	says := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for _, row := range []struct {
		name       string
		issuer     http.HandlerFunc // nil: away
		credential tokens.Credential
		status     int
		body, log  string
	}{
		{"away", nil, nil, 503, "no token: the issuer cannot be reached", "issuer unreachable"},
		{"out of order", says(500, "oops"), nil, 503, "no token: the issuer cannot be reached", "status 500"},
		{"refuses", says(400, `{"error":"invalid_client","error_description":"no s3cret-of-the-client"}`), nil, 502,
			"no token: the issuer gave none", "invalid_client"},
		{"a page", says(200, "<html>"), nil, 502, "no token: the issuer gave none", "not a JSON object"},
		{"another type of token", says(200, `{"access_token":"x","token_type":"DPoP"}`), nil, 502, "no token: the issuer gave none", "DPoP"},
		{"loose secret", says(500, ""), tokens.SecretFile(loose), 502, "no token: this client's credential cannot be used", "mode is 0644"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t, nil)
			i := newIssuer(t)
			s := newStage(t, a.URL, options{issuer: i, credential: row.credential})
			if row.issuer == nil {
				i.Close()
			} else {
				i.answers(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Retry-After", "60") // so that the source does not try again within the request
					row.issuer(w, r)
				})
			}
			got := s.send(t, http.MethodPost, "/", strings.NewReader("body"), "Token", "theirs")
			got.want(t, row.status, row.body+"\n")
			if hasHint := got.Header.Get("Retry-After") == "1"; hasHint != (row.status == 503) {
				t.Errorf("Retry-After is %q", got.Header.Get("Retry-After"))
			}
			if !strings.Contains(s.log.String(), row.log) {
				t.Errorf("%q is not in the log: %s", row.log, s.log)
			}
			if n := len(a.requests()); n != 0 {
				t.Errorf("%d requests reached the API without a token", n)
			}
		})
	}
}

// A token that the API no longer takes is replaced, once for a request, and the request sent again where that can be done.
func TestRefusedToken(t *testing.T) {
	t.Parallel()
	const invalid = `Bearer error="invalid_token"`
	for _, row := range []struct {
		name      string
		method    string
		body      io.Reader
		challenge string
		refused   int // so many times
		want      int
		arrived   int
		given     int
	}{
		{"without a body", "GET", nil, invalid, 1, 200, 2, 2},
		{"deleting", "DELETE", nil, invalid, 1, 200, 2, 2},
		{"again and again", "GET", nil, invalid, 9, 401, 2, 2},
		{"with a body, which has been sent", "POST", strings.NewReader("x"), invalid, 1, 401, 1, 1},
		{"not about the token", "GET", nil, `Bearer realm="x"`, 1, 401, 1, 1},
		{"a login", "GET", nil, `Basic realm="invalid_token"`, 1, 401, 1, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			a := newAPI(t, func(w http.ResponseWriter, _ *http.Request) {
				if requests.Add(1) <= int64(row.refused) {
					w.Header().Set("WWW-Authenticate", row.challenge)
					w.WriteHeader(http.StatusUnauthorized)
				}
			})
			i := newIssuer(t)
			got := newStage(t, a.URL, options{issuer: i}).send(t, row.method, "/", row.body)
			i.mu.Lock()
			given := i.given
			i.mu.Unlock()
			if got.StatusCode != row.want || len(a.requests()) != row.arrived || given != row.given {
				t.Errorf("got %d after %d requests with %d tokens, want %d, %d and %d",
					got.StatusCode, len(a.requests()), given, row.want, row.arrived, row.given)
			}
		})
	}
}

// A body that was not sent again is not lost for good: the next request has another token.
func TestTokenAfterARefusedBody(t *testing.T) {
	t.Parallel()
	a := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Token") == tokenPrefix+"1" {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	s := newStage(t, a.URL, options{})
	s.send(t, http.MethodPost, "/", strings.NewReader("x")).want(t, 401, "")
	s.send(t, http.MethodPost, "/", strings.NewReader("x")).want(t, 200, "")
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	a := newAPI(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) })
	i := newIssuer(t)
	s := newStage(t, a.URL, options{issuer: i})
	done := make(chan struct{})
	for n := range 50 {
		go func() {
			defer func() { done <- struct{}{} }()
			path := "/" + strings.Repeat("x", n)
			if got, err := s.try(t, http.MethodGet, path, nil); err != nil || got.body != path {
				t.Errorf("%s: %v %v", path, got, err)
			}
		}()
	}
	for range 50 {
		<-done
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.given != 1 {
		t.Errorf("%d tokens were asked for, want 1", i.given)
	}
}
