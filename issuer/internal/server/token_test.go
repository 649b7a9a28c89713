package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/issuer/internal/server"
	"example.com/signet/keys/keystest"
)

// checkToken checks what every answer of the token endpoint has: status, JSON, I12.
func checkToken(t *testing.T, a answer, status int, body string) {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("status %d, want %d", a.StatusCode, status)
	}
	if a.body != body+"\n" && body != "" {
		t.Errorf("body %q, want %q", a.body, body)
	}
	want := map[string]string{
		"Content-Type":  "application/json",
		"Cache-Control": "no-store",
		"Pragma":        "no-cache",
	}
	if status == http.StatusUnauthorized {
		want["Www-Authenticate"] = `Basic realm="signet", charset="UTF-8"`
	}
	if status == http.StatusServiceUnavailable {
		want["Retry-After"] = "5"
	}
	if status == http.StatusMethodNotAllowed {
		want["Allow"] = "POST"
	}
	for _, name := range []string{"Content-Type", "Cache-Control", "Pragma", "Www-Authenticate", "Retry-After", "Allow", "Access-Control-Allow-Origin"} {
		if got := strings.Join(a.Header.Values(name), ","); got != want[name] {
			t.Errorf("%s: %q, want %q", name, got, want[name])
		}
	}
	if len(a.Header.Get("X-Request-Id")) < 26 {
		t.Errorf("X-Request-Id: %q", a.Header.Get("X-Request-Id"))
	}
}

func errorBody(code, description string) string {
	return fmt.Sprintf(`{"error":%q,"error_description":%q}`, code, description)
}

func TestTokenGranted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	now := s.clock.Now().Unix()
	assertion := keystest.Forge(keystest.RS256Other,
		fmt.Sprintf(`{"alg":"RS256","kid":%q}`, keystest.Key(keystest.RS256Other).ID()),
		fmt.Sprintf(`{"iss":"billing","sub":"billing","aud":%q,"exp":%d,"jti":"one"}`, issuer, now+60))
	rows := []struct {
		name   string
		answer answer
	}{
		{"client_secret_basic", s.post(t, form(), "Authorization", basic("billing", secret))},
		{"client_secret_post", s.post(t, form("client_id", "billing", "client_secret", secret))},
		{"private_key_jwt", s.post(t, form("client_assertion_type", urn, "client_assertion", assertion))},
		{"I04 with a charset", s.do(t, s.request(t, http.MethodPost, "/oauth2/token", form().Encode(),
			"Authorization", basic("billing", secret), "Content-Type", "Application/X-WWW-Form-URLencoded; charset=UTF-8"))},
	}
	for _, row := range rows {
		t.Run("I11 I12 "+row.name, func(t *testing.T) {
			checkToken(t, row.answer, http.StatusOK, "")
			var got map[string]any
			if err := json.Unmarshal([]byte(row.answer.body), &got); err != nil {
				t.Fatal(err)
			}
			want := map[string]any{"access_token": got["access_token"], "token_type": "Bearer", "expires_in": 600.0, "scope": "read"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if _, err := keystest.Set(keystest.ES256).Verify(got["access_token"].(string)); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("the log names who got what", func(t *testing.T) {
		issued := s.audit(t, "token.issued")
		if len(issued) != len(rows) {
			t.Fatalf("%d lines, want %d", len(issued), len(rows))
		}
		for i, line := range issued {
			for name, want := range map[string]any{
				"client_id": "billing", "audience": "https://api.example.com", "scope": "read",
				"kid": keystest.Key(keystest.ES256).ID(), "request_id": rows[i].answer.Header.Get("X-Request-Id"),
			} {
				if line[name] != want {
					t.Errorf("%s: %v, want %v", name, line[name], want)
				}
			}
		}
	})
	t.Run("I28 replayed", func(t *testing.T) {
		checkToken(t, s.post(t, form("client_assertion_type", urn, "client_assertion", assertion)),
			http.StatusUnauthorized, errorBody("invalid_client", "client authentication failed"))
	})
}

func TestTokenRefusesRequests(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const formType = "application/x-www-form-urlencoded"
	auth := basic("billing", secret)
	body := form().Encode()
	const postOnly = "the token endpoint takes POST only"
	const notForm = "the body must be application/x-www-form-urlencoded in UTF-8"
	rows := []struct {
		name                      string
		method, query, mime, body string
		status                    int
		description               string
	}{
		{"I01 GET", "GET", "", "", "", 405, postOnly},
		{"I01 GET with parameters", "GET", "?" + body, "", "", 405, postOnly},
		{"I01 PUT", "PUT", "", formType, body, 405, postOnly},
		{"I01 PATCH", "PATCH", "", formType, body, 405, postOnly},
		{"I01 DELETE", "DELETE", "", "", "", 405, postOnly},
		{"I01 OPTIONS", "OPTIONS", "", "", "", 405, postOnly},
		{"I01 unknown method", "BREW", "", formType, body, 405, postOnly},
		{"I04 JSON", "POST", "", "application/json", `{"grant_type":"client_credentials"}`, 400, notForm},
		{"I04 multipart", "POST", "", "multipart/form-data; boundary=a", "--a--", 400, notForm},
		{"I04 text", "POST", "", "text/plain", body, 400, notForm},
		{"I04 no type", "POST", "", "", body, 400, notForm},
		{"I04 malformed type", "POST", "", formType + "; charset", body, 400, notForm},
		{"I04 a type that begins alike", "POST", "", formType + "-2", body, 400, notForm},
		{"I04 bad percent", "POST", "", formType, "grant_type=%zz", 400, "the body is not a form"},
		{"I04 semicolon", "POST", "", formType, "grant_type=a;scope=b", 400, "the body is not a form"},
		{"I04 not UTF-8", "POST", "", formType, "grant_type=%ff", 400, "the body is not UTF-8"},
		{"I06 credentials in the URI", "POST", "?client_id=billing&client_secret=" + secret, formType, body, 400, "parameters belong in the body, not in the URI"},
		{"I06 any parameter in the URI", "POST", "?scope=read", formType, body, 400, "parameters belong in the body, not in the URI"},
		{"64 KiB and one", "POST", "", formType, body + "&x=" + strings.Repeat("a", 64<<10+1-len(body)-3), 413, "the body is longer than 64 KiB"},
		{"far more", "POST", "", formType, strings.Repeat("a", 1<<20), 413, "the body is longer than 64 KiB"},
		{"I03 repeated parameter", "POST", "", formType, body + "&scope=read&scope=read", 400, "a parameter is repeated"},
		{"I18 empty body", "POST", "", formType, "", 400, "grant_type is missing"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r := s.request(t, row.method, "/oauth2/token"+row.query, row.body, "Authorization", auth)
			if row.mime != "" {
				r.Header.Set("Content-Type", row.mime)
			}
			s.keep(secret)
			checkToken(t, s.do(t, r), row.status, errorBody("invalid_request", row.description))
		})
	}
	t.Run("64 KiB", func(t *testing.T) {
		r := s.request(t, "POST", "/oauth2/token", body+"&x="+strings.Repeat("a", 64<<10-len(body)-3), "Authorization", auth, "Content-Type", formType)
		checkToken(t, s.do(t, r), http.StatusOK, "")
	})
	t.Run("I07 Authorization twice", func(t *testing.T) {
		checkToken(t, s.post(t, form(), "Authorization", auth, "Authorization", auth), 400, errorBody("invalid_request", "more than one way of authenticating"))
	})
}

func TestTokenBodyOfUnknownLength(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := s.request(t, "POST", "/oauth2/token", strings.Repeat("a", 64<<10+1), "Content-Type", "application/x-www-form-urlencoded")
	r.ContentLength = -1 // sent in chunks
	checkToken(t, s.do(t, r), http.StatusRequestEntityTooLarge, errorBody("invalid_request", "the body is longer than 64 KiB"))
}

// I16, I17: the one table from error to status.
func TestTokenStatuses(t *testing.T) {
	t.Parallel()
	rows := []struct {
		code   oauth.Code
		status int
	}{
		{oauth.InvalidRequest, 400},
		{oauth.InvalidClient, 401},
		{oauth.UnsupportedGrantType, 400},
		{oauth.InvalidScope, 400},
		{oauth.InvalidTarget, 400},
		{oauth.ServerError, 500},
		{oauth.TemporarilyUnavailable, 503},
	}
	for _, row := range rows {
		t.Run(string(row.code), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(c *server.Config) {
				c.Token = func(context.Context, oauth.Request) (oauth.Response, oauth.Record, error) {
					return oauth.Response{}, oauth.Record{}, &oauth.Error{Code: row.code, Description: "a phrase", Cause: errors.New("for the log")}
				}
			})
			a := s.post(t, form())
			checkToken(t, a, row.status, errorBody(string(row.code), "a phrase"))
			line := s.audit(t, "token.refused")[0]
			if line["cause"] != "for the log" || line["error"] != string(row.code) || line["request_id"] != a.Header.Get("X-Request-Id") {
				t.Errorf("log %v", line)
			}
		})
	}
}

func TestTokenErrorOfAnotherType(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *server.Config) {
		c.Token = func(context.Context, oauth.Request) (oauth.Response, oauth.Record, error) {
			return oauth.Response{}, oauth.Record{}, errors.New("inner detail")
		}
	})
	checkToken(t, s.post(t, form()), 500, errorBody("server_error", "the request cannot be answered now"))
}
