package server_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/issuer/internal/server"
	"example.com/signet/keys/keystest"
)

// guessing is over HTTP through a trusted proxy, which names the address of the caller.
func (c *checklist) guessing(t *testing.T) {
	e := c.edge(t, func(cfg *server.Config) {
		cfg.Addresses = buckets(t, 100, cfg.Now)
		cfg.Proxies = server.Proxies{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
			Header: "X-Forwarded-For"}
	})
	guess := func(from string, i int) answer {
		return e.ask(t, form(), "Authorization", basic("billing", fmt.Sprintf("wrong-secret-%d", i)), "X-Forwarded-For",
			from)
	}
	right := func(from string) answer {
		return e.ask(t, form(), "Authorization", basic("billing", secret), "X-Forwarded-For", from)
	}
	const guesser, other = "192.0.2.1", "192.0.2.2"
	for i := range 10 { // each counts for eleven requests, and there are a hundred
		checkRefused(t, guess(guesser, i), 401, "invalid_client", failed)
	}
	for name, limited := range map[string]answer{"guess": guess(guesser, 10), "right": right(guesser)} {
		t.Run("429 for the next "+name, func(t *testing.T) {
			checkRefused(t, limited, 429, "temporarily_unavailable", "too many requests")
			if got := limited.Header.Values("Retry-After"); len(got) != 1 || got[0] != "1" {
				t.Errorf("Retry-After %q", got)
			}
		})
	}
	t.Run("another address is served", func(t *testing.T) { grantedToken(t, right(other)) })
	t.Run("the limit follows no header that the caller adds", func(t *testing.T) {
		checkRefused(t, right("198.51.100.7, "+guesser), 429, "temporarily_unavailable", "too many requests")
	})
	t.Run("after a while it is served again", func(t *testing.T) {
		e.clock.Advance(time.Second)
		grantedToken(t, right(guesser))
	})
	for name, headers := range map[string][]string{"nobody": {"Authorization", basic("nobody", secret)},
		"nothing": nil} {
		t.Run("every failure costs: "+name, func(t *testing.T) {
			e.clock.Advance(time.Minute)
			for range 10 {
				checkRefused(t, e.ask(t, form(), append(headers, "X-Forwarded-For", guesser)...), 401, "invalid_client",
					failed)
			}
			checkRefused(t, right(guesser), 429, "temporarily_unavailable", "too many requests")
		})
	}
}

func (c *checklist) challenge(t *testing.T) {
	e := c.edge(t)
	rows := []struct {
		name   string
		answer answer
	}{
		{"Basic, wrong secret", e.ask(t, form(), "Authorization", basic("billing", "wrong-secret"))},
		{"Basic, malformed", e.ask(t, form(), "Authorization", "Basic !")},
		{"Bearer", e.ask(t, form(), "Authorization", "Bearer abcdefgh")},
		{"post, wrong secret", e.ask(t, form("client_id", "billing", "client_secret", "wrong-secret"))},
		{"assertion", e.askAssertion(t, "a.b.c")},
		{"nothing", e.ask(t, form())},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			checkRefused(t, row.answer, 401, "invalid_client", failed)
			got := row.answer.Header.Values("WWW-Authenticate")
			if diff := cmp.Diff([]string{`Basic realm="signet", charset="UTF-8"`}, got); diff != "" {
				t.Errorf("WWW-Authenticate (-want +got):\n%s", diff)
			}
		})
	}
	for _, a := range []answer{e.askAs(t), e.askAs(t, "scope", "admin")} {
		if got := a.Header.Values("WWW-Authenticate"); got != nil {
			t.Errorf("status %d, WWW-Authenticate %q", a.StatusCode, got)
		}
	}
}

func (c *checklist) sameAnswer(t *testing.T) {
	e := c.edge(t)
	grantedToken(t, e.ask(t, form(), "Authorization", basic("expiring", secret)))
	e.clock.Advance(100 * 365 * 24 * time.Hour) // now its secret has expired
	want := e.ask(t, form(), "Authorization", basic("billing", "wrong-secret"))
	checkRefused(t, want, 401, "invalid_client", failed)
	rows := []struct{ name, id, secret string }{
		{"unknown client", "nobody", secret},
		{"an id that none can have", "no body!", secret},
		{"an id of the same length", "billinh", "wrong-secret"},
		{"disabled client, right secret", "disabled", secret},
		{"disabled client, wrong secret", "disabled", "wrong-secret"},
		{"client without secrets", "robot", secret},
		{"expired secret", "expiring", secret},
		{"a long secret", "billing", strings.Repeat("wrong-secret", 1000)},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			post := e.ask(t, form("client_id", row.id, "client_secret", row.secret))
			sameOctets(t, want, post)
			if len(row.secret) < 1000 {
				sameOctets(t, want, e.ask(t, form(), "Authorization", basic(row.id, row.secret)))
			}
		})
	}
}

// sameOctets checks that two answers differ in nothing but the id of the request and the date.
func sameOctets(t *testing.T, want, got answer) {
	t.Helper()
	headers := func(a answer) http.Header {
		h := a.Header.Clone()
		h.Del("X-Request-Id")
		h.Del("Date")
		return h
	}
	if want.StatusCode != got.StatusCode || want.body != got.body {
		t.Errorf("status %d, body %q, want %d, %q", got.StatusCode, got.body, want.StatusCode, want.body)
	}
	if diff := cmp.Diff(headers(want), headers(got)); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

func (c *checklist) assertionFailures(t *testing.T) {
	e := c.edge(t)
	header := assertionHeader(keystest.ES256Other).String()
	past := strconv.FormatInt(e.clock.Now().Add(-leeway).Unix(), 10)
	replayed := e.claims()
	grantedToken(t, e.askAssertion(t, forgeAssertion(replayed)))
	rows := []struct{ name, assertion, cause string }{
		{"no token", "a.b.c", "malformed token: not canonical unpadded base64url"},
		{"I22", forgeAssertion(e.claims().With("iss", `"rsa"`)),
			"assertion: iss, sub and client_id are not the same client"},
		{"I22 unknown client", forgeAssertion(e.claims().With("iss", `"nobody"`).With("sub", `"nobody"`)),
			"unknown client"},
		{"I22 disabled client", forgeAssertion(e.claims().With("iss", `"disabled"`).With("sub", `"disabled"`)),
			"client is disabled"},
		{"I22 client without keys", forgeAssertion(e.claims().With("iss", `"one"`).With("sub", `"one"`)),
			"assertion: client has no keys"},
		{"I24", keystest.Forge(keystest.ES256Other, strings.Replace(header, "client-authentication", "at", 1),
			e.claims().String()),
			"assertion: typ is not client-authentication+jwt or JWT"},
		{"I25 no exp", forgeAssertion(e.claims().Without("exp")), "assertion: no exp"},
		{"I25 expired at this moment", forgeAssertion(e.claims().With("exp", past)), "assertion: expired"},
		{"I25 expired", forgeAssertion(e.claims().With("exp", "1")), "assertion: expired"},
		{"I25 too far ahead", forgeAssertion(e.claims().With("exp", "9999999999")),
			"assertion: exp is more than 5 minutes ahead"},
		{"I25 nbf", forgeAssertion(e.claims().With("nbf", "9999999999")), "assertion: nbf or iat is in the future"},
		{"I25 text", forgeAssertion(e.claims().With("exp", `"1"`)),
			"assertion: claims are not strict JSON of the right types"},
		{"I26 no jti", forgeAssertion(e.claims().Without("jti")), "assertion: jti is missing or too long"},
		{"I26 replayed", forgeAssertion(replayed), "assertion: jti was used before"},
		{"I27 stranger", keystest.Forge(keystest.ES256, header, e.claims().String()),
			"signature does not verify: not made by the key that kid names"},
		{"I27 none", keystest.Encode(strings.Replace(header, "ES256", "none",
			1)) + "." + keystest.Encode(e.claims().String()) + ".",
			"malformed token: empty signature"},
		{"I27 HS256", keystest.Forge(keystest.ES256Other, strings.Replace(header, "ES256", "HS256", 1),
			e.claims().String()),
			"algorithm not allowed: header names neither ES256 nor RS256"},
		// The claims of a stranger are not looked at, so the audience is not named either.
		{"I23 stranger", keystest.Forge(keystest.ES256, header, e.claims().With("aud", `"x"`).String()),
			"signature does not verify: not made by the key that kid names"},
	}
	want := e.ask(t, form(), "Authorization", basic("billing", "wrong-secret"))
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			a := e.askAssertion(t, row.assertion)
			sameOctets(t, want, a)
			e.checkCause(t, a, row.cause)
		})
	}
	t.Run("I23", func(t *testing.T) {
		a := e.askAssertion(t, forgeAssertion(e.claims().With("aud", `"x"`)))
		checkRefused(t, a, 401, "invalid_client", wrongAudience)
		e.checkCause(t, a, "assertion: aud is not the issuer alone")
	})
}

// checkCause looks for the true reason of a refusal in the audit trail.
func (e *edge) checkCause(t *testing.T, a answer, cause string) {
	t.Helper()
	for _, event := range e.audit(t, "token.refused") {
		if event["request_id"] == a.Header.Get("X-Request-Id") {
			if event["cause"] != cause {
				t.Errorf("cause %q, want %q", event["cause"], cause)
			}
			return
		}
	}
	t.Error("not in the audit trail")
}
