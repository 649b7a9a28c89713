package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/limit"
	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/issuer/internal/server"
	"example.com/signet/keys/keystest"
)

const formType = "application/x-www-form-urlencoded"

// event is an audit event as it should be: the fields that all have, and those given in turn.
func event(name, level string, w *httptest.ResponseRecorder, pairs ...string) map[string]any {
	e := map[string]any{
		"event": name, "level": level, "method": "POST", "status": float64(w.Code),
		"remote": "192.0.2.1", "request_id": w.Header().Get("X-Request-Id"),
	}
	for i := 0; i < len(pairs); i += 2 {
		e[pairs[i]] = pairs[i+1]
	}
	return e
}

// Each token issued is one event, which names who has it, by which credential, for what, from which key.
func TestAuditIssued(t *testing.T) {
	t.Parallel()
	d := newDirect(t, withEndpoint(t))
	now, client := d.clock.Now(), keystest.Key(keystest.RS256Other).ID()
	const api, rs = "https://api.example.com", "https://rs.example.com"
	rows := []struct {
		name string
		form url.Values
		auth string
		want []string
	}{
		{"Basic", form(), basic("billing", secret),
			[]string{"client_id", "billing", "auth_method", "client_secret_basic", "credential", secretName, "audience", api,
				"scope", "read"}},
		{"in the body", form("client_id", "shipping", "client_secret", secret), "",
			[]string{"client_id", "shipping", "auth_method", "client_secret_post", "credential", secretName, "audience", api,
				"scope", "read"}},
		{"an assertion", form("client_assertion_type", urn, "client_assertion", assertion(now, "billing", "one")), "",
			[]string{"client_id", "billing", "auth_method", "private_key_jwt", "credential", client, "audience", api, "scope",
				"read"}},
		{"a scope, asked for in another order and twice", form("scope", "write read write"), basic("billing", secret),
			[]string{"client_id", "billing", "auth_method", "client_secret_basic", "credential", secretName, "audience", api,
				"scope", "write read"}},
		{"another resource, and its algorithm", form("resource", rs), basic("billing", secret),
			[]string{"client_id", "billing", "auth_method", "client_secret_basic", "credential", secretName, "audience", rs,
				"scope", "read",
				"alg", "RS256", "kid", keystest.Key(keystest.RS256).ID()}},
		{"unknown parameters", form("audience", "https://evil.example.com", "kid", "x", "jti", "y"), basic("billing", secret),
			[]string{"client_id", "billing", "auth_method", "client_secret_basic", "credential", secretName, "audience", api,
				"scope", "read"}},
	}
	for _, row := range rows { // in order: they share the log
		t.Run(row.name, func(t *testing.T) {
			w := d.tokenRequest(row.form.Encode(), row.auth)
			if w.Code != 200 {
				t.Fatalf("status %d, body %s", w.Code, w.Body)
			}
			es256 := []string{"alg", "ES256", "kid", keystest.Key(keystest.ES256).ID(), "jti", "a-token-id"}
			want := []map[string]any{event("token.issued", "INFO", w, append(es256, row.want...)...)}
			if diff := cmp.Diff(want, d.events(t)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

// tokenRequest is a request from 192.0.2.1; auth may be empty.
func (d *direct) tokenRequest(body, auth string) *httptest.ResponseRecorder {
	headers := []string{"Content-Type", formType}
	if auth != "" {
		headers = append(headers, "Authorization", auth)
	}
	return serve(d.Public, "192.0.2.1:9", "POST", "/oauth2/token", body, headers...)
}

// Each refusal is one event with the true reason, and with what is known and well formed of who asked for what.
func TestAuditRefused(t *testing.T) {
	t.Parallel()
	now := keystest.NewClock().Now()
	jwt := func(header, claims string) url.Values {
		return form("client_assertion_type", urn, "client_assertion", keystest.Forge(keystest.RS256Other, header, claims))
	}
	client := keystest.Key(keystest.RS256Other).ID()
	header := fmt.Sprintf(`{"alg":"RS256","kid":%q}`, client)
	claims := func(pairs string) string {
		return fmt.Sprintf(`{"iss":"billing","sub":"billing","jti":"x","aud":%q,"exp":%d%s}`, issuer, now.Unix()+60, pairs)
	}
	forged := form("client_assertion_type", urn, "client_assertion", assertion(now, "billing", "x"))
	text := forged.Get("client_assertion")
	forged.Set("client_assertion", text[:len(text)-8]+"AAAAAAAA")
	good := basic("billing", secret)
	byBasic := []string{"auth_method", "client_secret_basic"}
	proved := append([]string{"client_id", "billing", "credential", secretName}, byBasic...)
	byJWT := []string{"auth_method", "private_key_jwt", "client_id", "billing"}
	with := func(some []string, more ...string) []string { return append(append([]string{}, some...), more...) }
	rows := []struct {
		name               string
		form               url.Values
		auth               string
		status             int
		code, cause, level string
		want               []string
	}{
		{name: "no credentials", form: form("scope", "read"), status: 401, code: "invalid_client", cause: "no credentials"},
		{name: "a wrong secret", form: form(), auth: basic("billing", "wrong"), status: 401, code: "invalid_client",
			cause: "wrong or expired secret", want: with(byBasic, "client_id", "billing")},
		{name: "an unknown client", form: form("resource", "https://api.example.com"), auth: basic("nobody", secret),
			status: 401, code: "invalid_client", cause: "unknown client",
			want: with(byBasic, "audience", "https://api.example.com")},
		{name: "a disabled client", form: form(), auth: basic("gone", secret), status: 401, code: "invalid_client",
			cause: "client is disabled", want: with(byBasic, "client_id", "gone")},
		{name: "another scheme", form: form(), auth: "Bearer abcdefgh", status: 401, code: "invalid_client",
			cause: "the Authorization header is not Basic", want: byBasic},
		{name: "malformed Basic", form: form(), auth: "Basic !", status: 401, code: "invalid_client",
			cause: "malformed Basic credentials", want: byBasic},
		{name: "a forged assertion", form: forged, status: 401, code: "invalid_client",
			cause: "signature does not verify: not made by the key that kid names", want: byJWT},
		{name: "an assertion for another", form: jwt(header, strings.Replace(claims(""), issuer,
			"https://other.example.com", 1)),
			status: 401, code: "invalid_client", cause: "assertion: aud is not the issuer alone", want: with(byJWT,
				"credential", client)},
		{name: "an assertion without an id", form: jwt(header, strings.Replace(claims(""), `"jti":"x",`, "", 1)),
			status: 401, code: "invalid_client", cause: "assertion: jti is missing or too long", want: with(byJWT,
				"credential", client)},
		{name: "two ways", form: form("client_secret", "x"), auth: good, status: 400, code: "invalid_request",
			cause: "more than one way of authenticating"},
		{name: "no grant type", form: url.Values{"scope": {"read"}}, auth: good, status: 400, code: "invalid_request",
			cause: "grant_type is missing", want: proved},
		{name: "another grant", form: form("grant_type", "password"), auth: good, status: 400, code: "unsupported_grant_type",
			cause: "the only grant_type is client_credentials", want: proved},
		{name: "a scope that is not allowed", form: form("scope", "admin"), auth: good, status: 400, code: "invalid_scope",
			cause: "a scope is unknown or not allowed", want: proved},
		{name: "a scope that the resource has not", form: form("scope", "admin", "resource", "https://api.example.com"),
			auth: good, status: 400, code: "invalid_scope", cause: "a scope is unknown or not allowed",
			want: with(proved, "audience", "https://api.example.com")},
		{name: "a scope of the resource, and a stranger", form: form("scope", "write read write", "resource",
			"https://api.example.com"), status: 401, code: "invalid_client", cause: "no credentials",
			want: []string{"audience", "https://api.example.com", "scope", "write read"}},
		{name: "a scope of another resource", form: form("scope", "write", "resource", "https://rs.example.com"),
			auth: good, status: 400, code: "invalid_scope", cause: "a scope is unknown or not allowed",
			want: with(proved, "audience", "https://rs.example.com")},
		{name: "id and secret swapped", form: form(), auth: basic(secret, "billing"), status: 401,
			code: "invalid_client", cause: "unknown client", want: byBasic},
		{name: "the secret for an id in the body", form: form("client_id", secret, "client_secret", "billing"),
			status: 401, code: "invalid_client", cause: "unknown client",
			want: []string{"auth_method", "client_secret_post"}},
		{name: "a resource that is not allowed", form: form("resource", "urn:some:thing"), auth: good, status: 400,
			code: "invalid_target", cause: "the resource is unknown or not allowed", want: proved},
		{name: "two resources", form: url.Values{"grant_type": {"client_credentials"}, "resource": {"urn:a:b", "urn:c:d"}},
			auth:   good,
			status: 400, code: "invalid_target", cause: "a token is for one resource", want: proved},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			d := newDirect(t, withEndpoint(t))
			w := d.tokenRequest(row.form.Encode(), row.auth)
			if w.Code != row.status {
				t.Errorf("status %d, body %s", w.Code, w.Body)
			}
			want := []map[string]any{event("token.refused", "WARN", w, with(row.want, "error", row.code, "cause", row.cause)...)}
			if diff := cmp.Diff(want, d.events(t)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

// What is refused before anything is known of it is one event too.
func TestAuditRefusedEarly(t *testing.T) {
	t.Parallel()
	d := newDirect(t, withEndpoint(t), addressLimit(t, 1, 7), func(c *server.Config) { c.InFlight = make(limit.Slots) })
	rows := []struct {
		name, method, path, mime, body string
		status                         int
		code, cause                    string
	}{
		{"GET", "GET", "/oauth2/token", "", "", 405, "invalid_request", "the token endpoint takes POST only"},
		{"an unheard-of method", "BREW", "/oauth2/token", "", "", 405, "invalid_request",
			"the token endpoint takes POST only"},
		{"a method of 12 KB", strings.Repeat("BREW", 3000), "/oauth2/token", "", "", 405, "invalid_request",
			"the token endpoint takes POST only"},
		{"parameters in the URI", "POST", "/oauth2/token?client_secret=abcdefgh", formType, "", 400, "invalid_request",
			"parameters belong in the body, not in the URI"},
		{"JSON", "POST", "/oauth2/token", "application/json", "{}", 400, "invalid_request",
			"the body must be application/x-www-form-urlencoded in UTF-8"},
		{"too long", "POST", "/oauth2/token", formType, strings.Repeat("a", 1<<17), 413, "invalid_request",
			"the body is longer than 64 KiB"},
		{"too much at once", "POST", "/oauth2/token", formType, "a=b", 503, "temporarily_unavailable",
			"too many requests at once"},
		{"too often", "POST", "/oauth2/token", formType, "a=b", 429, "temporarily_unavailable",
			"too many requests from this address"},
	}
	for _, row := range rows { // in order: the last one has nothing left
		t.Run(row.name, func(t *testing.T) {
			w := serve(d.Public, "192.0.2.1:9", row.method, row.path, row.body, "Content-Type", row.mime)
			if w.Code != row.status {
				t.Errorf("status %d, body %s", w.Code, w.Body)
			}
			method := row.method
			if method == "BREW" || len(method) > 10 {
				method = "other"
			}
			want := []map[string]any{event("token.refused", "WARN", w, "error", row.code, "cause", row.cause, "method",
				method)}
			if diff := cmp.Diff(want, d.events(t)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAuditClientLimitAndFailures(t *testing.T) {
	t.Parallel()
	known := []string{"client_id", "billing", "auth_method", "client_secret_basic", "credential", secretName}
	rows := []struct {
		name        string
		change      func(*oauth.Config)
		status      int
		code, cause string
		want        []string
	}{
		{"too often", func(c *oauth.Config) { c.Limit = func(string) time.Duration { return time.Second } }, 429,
			"temporarily_unavailable", "too many requests of this client", known},
		{"no key", func(c *oauth.Config) { c.Now = func() time.Time { return time.Time{} } }, 500,
			"server_error", "no key signs at this time: ES256", known},
		{"no registry", func(c *oauth.Config) { c.Registry = func() oauth.Registry { return brokenRegistry{} } }, 503,
			"temporarily_unavailable", "the disk is on fire", known[2:4]},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			d := newDirect(t, withEndpoint(t, row.change))
			w := d.tokenRequest(form().Encode(), basic("billing", secret))
			if w.Code != row.status || strings.Contains(w.Body.String(), "fire") {
				t.Errorf("status %d, body %s", w.Code, w.Body)
			}
			got := d.events(t)
			want := []map[string]any{event("token.refused", "WARN", w, append(row.want, "error", row.code, "cause",
				row.cause)...)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

type brokenRegistry struct{}

var errFire = errors.New("the disk is on fire")

func (brokenRegistry) Client(context.Context, string) (*clients.Client, error) { return nil, errFire }
func (brokenRegistry) Resource(context.Context, string) (*clients.Resource, error) {
	return nil, errFire
}

// What a caller writes comes into the trail only when the registry knows it, as an id, an audience or a scope; it never
// comes into the log otherwise, and never breaks a line of it.
func TestAuditTakesNothingElse(t *testing.T) {
	t.Parallel()
	const mark = "MARKMARK"
	hostile := []struct{ name, value string }{
		{"line break", mark + "\n{\"msg\":\"audit\",\"event\":\"token.issued\"}"},
		{"carriage return", mark + "\r\nmsg=audit"},
		{"ANSI escape", "\x1b[31m" + mark},
		{"C1 escape", "\u009b31m" + mark},
		{"quotes", mark + `","event":"token.issued`},
		{"backslash", mark + `\`},
		{"NUL", mark + "\x00"},
		{"not UTF-8", mark + "\xff"},
		{"right to left", mark + "\u202e"},
		{"line separator", mark + "\u2028"},
		{"60 KB", mark + strings.Repeat("a", 60<<10)},
		{"well formed", mark},
	}
	requests := []struct {
		name string
		send func(d *direct, value string)
	}{
		{"client_id", func(d *direct, v string) { d.tokenRequest(form("client_id", v, "client_secret", "x").Encode(), "") }},
		{"client_id alone", func(d *direct, v string) { d.tokenRequest(form("client_id", v).Encode(), "") }},
		{"client_id in Basic", func(d *direct, v string) { d.tokenRequest(form().Encode(), basic(url.QueryEscape(v), "x")) }},
		{"client_id in Basic, not encoded", func(d *direct, v string) { d.tokenRequest(form().Encode(), basic(v, "x")) }},
		{"scope", func(d *direct, v string) { d.tokenRequest(form("scope", v).Encode(), basic("billing", secret)) }},
		{"scope of a resource", func(d *direct, v string) {
			d.tokenRequest(form("scope", "read "+v, "resource", "https://api.example.com").Encode(), basic("billing", secret))
		}},
		{"resource", func(d *direct, v string) {
			d.tokenRequest(form("resource", "urn:x:"+v).Encode(), basic("billing", secret))
		}},
		{"resource that is no URI", func(d *direct, v string) {
			d.tokenRequest(form("resource", v).Encode(), basic("billing", secret))
		}},
		{"a known resource and more", func(d *direct, v string) {
			d.tokenRequest(form("resource", "https://api.example.com/"+v).Encode(), basic("billing", secret))
		}},
		{"scope of a stranger", func(d *direct, v string) { d.tokenRequest(form("scope", v).Encode(), "") }},
		{"resource of a stranger", func(d *direct, v string) { d.tokenRequest(form("resource", "urn:x:"+v).Encode(), "") }},
		{"grant_type", func(d *direct, v string) {
			d.tokenRequest(form("grant_type", v).Encode(), basic("billing",
				secret))
		}},
		{"client_assertion_type", func(d *direct, v string) {
			d.tokenRequest(form("client_assertion_type", v).Encode(),
				"")
		}},
		{"a parameter's name", func(d *direct, v string) { d.tokenRequest(form(v, "x").Encode(), "") }},
		{"a repeated parameter", func(d *direct, v string) {
			f := form()
			f[v] = []string{"a", "b"}
			d.tokenRequest(f.Encode(), "")
		}},
		{"Authorization", func(d *direct, v string) { d.tokenRequest(form().Encode(), v) }},
		{"Content-Type", func(d *direct, v string) {
			serve(d.Public, "192.0.2.1:9", "POST", "/oauth2/token", "", "Content-Type", v)
		}},
		{"the query", func(d *direct, v string) {
			serve(d.Public, "192.0.2.1:9", "POST", "/oauth2/token?"+url.QueryEscape(v), "", "Content-Type", formType)
		}},
		{"headers", func(d *direct, v string) {
			serve(d.Public, "192.0.2.1:9", "POST", "/oauth2/token", "", "Content-Type", formType, "X-Request-Id", v,
				"X-Forwarded-For", v, "User-Agent", v, "Referer", v, "Host", v)
		}},
		{"iss of an assertion", func(d *direct, v string) { d.assert(v, "billing", "x", "k") }},
		{"sub of an assertion", func(d *direct, v string) { d.assert("billing", v, "x", "k") }},
		{"iss and sub of an assertion", func(d *direct, v string) { d.assert(v, v, "x", "k") }},
		{"jti of an assertion", func(d *direct, v string) {
			d.assert("billing", "billing", v, keystest.Key(keystest.RS256Other).ID())
		}},
		{"alg of an assertion", func(d *direct, v string) { d.assertHeader("alg", v) }},
		{"typ of an assertion", func(d *direct, v string) { d.assertHeader("typ", v) }},
		{"crit of an assertion", func(d *direct, v string) { d.assertHeader("crit", v) }},
		{"kid of an assertion", func(d *direct, v string) { d.assert("billing", "billing", "x", v) }},
	}
	for _, request := range requests {
		t.Run(request.name, func(t *testing.T) {
			t.Parallel()
			d := newDirect(t, withEndpoint(t))
			for _, h := range hostile {
				request.send(d, h.value)
				log := d.log.String()
				if strings.Contains(log, mark) {
					t.Errorf("%s: log (%d octets) has what was sent: %.400s", h.name, len(log), log)
				}
				if n := strings.Count(log, "\n"); n != 1 { // the event, which stands for the request too
					t.Errorf("%s: %d lines:\n%.400s", h.name, n, log)
				}
				if events := d.events(t); len(events) != 1 {
					t.Errorf("%s: %d events", h.name, len(events))
				}
			}
		})
	}
}

// assert sends an assertion with any claims, signed by billing's key.
func (d *direct) assert(iss, sub, jti, kid string) {
	d.tokenRequest(form("client_assertion_type", urn, "client_assertion", keystest.Forge(keystest.RS256Other,
		keystest.Object{}.With("alg", `"RS256"`).With("kid", quoted(kid)).String(),
		keystest.Object{}.With("iss", quoted(iss)).With("sub", quoted(sub)).With("jti", quoted(jti)).
			With("aud", quoted(issuer)).With("exp", fmt.Sprint(d.clock.Now().Unix()+60)).String())).Encode(), "")
}

// assertHeader sends an assertion of billing with one member of its header changed.
func (d *direct) assertHeader(name, value string) {
	d.tokenRequest(form("client_assertion_type", urn, "client_assertion", keystest.Forge(keystest.RS256Other,
		keystest.Object{}.With("alg", `"RS256"`).With(name, quoted(value)).String(),
		`{"iss":"billing","sub":"billing"}`)).Encode(), "")
}

func quoted(text string) string {
	out, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(out)
}

// No eight characters in a row of a secret, a token or an assertion come out, in text or JSON, granted or refused,
// whatever is wrong with the request.
func TestAuditHasNoSecret(t *testing.T) {
	t.Parallel()
	const hidden = "kX9vQ2mZ7wL4pT8r-B3nY6cF1hJ5sD0gA"
	now := keystest.NewClock().Now()
	signed := assertion(now, "billing", "x")
	used := assertion(now, "billing", "used")
	rows := []struct {
		name   string
		secret string
		form   url.Values
		auth   string
	}{
		{"Basic, right", secret, form(), basic("billing", secret)},
		{"Basic, wrong", hidden, form(), basic("billing", hidden)},
		{"Basic, unknown client", hidden, form(), basic("nobody", hidden)},
		{"Basic, no colon", hidden, form(), basic(hidden, "")},
		{"Basic, bad percent", hidden, form(), basic("billing", hidden+"%zz")},
		{"Basic, not base64", hidden, form(), "Basic " + hidden + "!"},
		{"another scheme", hidden, form(), "Bearer " + hidden},
		{"no scheme", hidden, form(), hidden},
		{"in the body, right", secret, form("client_id", "billing", "client_secret", secret), ""},
		{"in the body, wrong", hidden, form("client_id", "billing", "client_secret", hidden), ""},
		{"in the body, without a client", hidden, form("client_secret", hidden), ""},
		{"in the body and in Basic", hidden, form("client_secret", hidden), basic("billing", secret)},
		{"a good secret, and a scope that is not allowed", secret, form("scope", "no"), basic("billing", secret)},
		{"an assertion, right", signed[len(signed)/2:], form("client_assertion_type", urn, "client_assertion", signed), ""},
		{"an assertion, forged", signed[len(signed)-100 : len(signed)-8],
			form("client_assertion_type", urn, "client_assertion", signed[:len(signed)-8]+"AAAAAAAA"), ""},
		{"an assertion, again", used[len(used)/2:], form("client_assertion_type", urn, "client_assertion", used), ""},
		{"an assertion that is none", hidden, form("client_assertion_type", urn, "client_assertion", hidden), ""},
		{"an assertion of three words", hidden, form("client_assertion_type", urn, "client_assertion", "a."+hidden+".b"), ""},
		{"an assertion without its type", hidden, form("client_assertion", hidden), ""},
	}
	for _, row := range rows {
		for _, text := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/text %v", row.name, text), func(t *testing.T) {
				t.Parallel()
				var log buffer
				logger := slog.New(slog.NewJSONHandler(&log, nil))
				if text {
					logger = slog.New(slog.NewTextHandler(&log, nil))
				}
				d := newDirect(t, withEndpoint(t), func(c *server.Config) { c.Log, c.Audit = logger, logger })
				for range 2 { // the second time an assertion is a replay
					w := d.tokenRequest(row.form.Encode(), row.auth)
					_, rest, granted := strings.Cut(w.Body.String(), `"access_token":"`)
					token, _, _ := strings.Cut(rest, `"`)
					if granted {
						noPart(t, "log", log.String(), token[strings.LastIndexByte(token, '.'):])
					}
					noPart(t, "answer", strings.ReplaceAll(w.Body.String(), token, "")+fmt.Sprint(w.Header()), row.secret)
				}
				noPart(t, "log", log.String(), row.secret)
			})
		}
	}
}

// noPart checks that text has no eight characters in a row of secret.
func noPart(t *testing.T, what, text, secret string) {
	t.Helper()
	for i := 0; i+8 <= len(secret); i++ {
		if strings.Contains(text, secret[i:i+8]) {
			t.Errorf("%s has %q: %.600s", what, secret[i:i+8], text)
			return
		}
	}
}

// The trail goes on when the log is turned down.
func TestAuditIsNotSilenced(t *testing.T) {
	t.Parallel()
	var trail buffer
	d := newDirect(t, withEndpoint(t), func(c *server.Config) {
		c.Log = slog.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError}))
		c.Audit = slog.New(slog.NewTextHandler(&trail, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	d.tokenRequest(form().Encode(), basic("billing", secret))
	d.tokenRequest(form().Encode(), "")
	if text := trail.String(); strings.Count(text, "\n") != 2 || !strings.Contains(text, "event=token.issued") ||
		!strings.Contains(text, "event=token.refused") {
		t.Errorf("trail:\n%s", text)
	}
}
