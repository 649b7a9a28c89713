package verify_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// bench is a verifier with keys of both algorithms, at a time that stands still, and what its tokens are made from.
type bench struct {
	issuer   string
	clock    *keystest.Clock
	verifier *verify.Verifier
	header   keystest.Object // genuine, by keystest.ES256
	claims   keystest.Object // genuine
}

// newBench makes a verifier without leeway unless cfg has one, so that the tables show each moment as it is.
func newBench(t testing.TB, cfg verify.Config) bench {
	t.Helper()
	server, clock := newServer(t, keystest.ES256, keystest.RS256), keystest.NewClock()
	cfg.Issuer, cfg.Now = server.Issuer(), clock.Now
	if cfg.Leeway == 0 {
		cfg.Leeway = -1
	}
	v := newVerifier(t, cfg)
	ready(t, v)
	return bench{server.Issuer(), clock, v, keystest.AccessHeader(keystest.ES256),
		keystest.AccessClaims(server.Issuer(), audience, clock.Now())}
}

// at is the moment d from now, as a claim.
func (b bench) at(d time.Duration) string { return strconv.FormatInt(b.clock.Now().Add(d).Unix(), 10) }

func (b bench) forge(header, claims keystest.Object) string {
	return keystest.Forge(keystest.ES256, header.String(), claims.String())
}

// with is a token that is genuine but for one claim.
func (b bench) with(name, value string) string { return b.forge(b.header, b.claims.With(name, value)) }

func (b bench) without(name string) string { return b.forge(b.header, b.claims.Without(name)) }

// payload is a token whose payload is exactly this text.
func (b bench) payload(text string) string {
	return keystest.Forge(keystest.ES256, b.header.String(), text)
}

type row struct {
	name  string
	token string
	want  error // nil: accepted
}

func (b bench) run(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			claims, err := b.verifier.Verify(t.Context(), r.token)
			if r.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, r.want)
			if claims != (verify.Claims{}) {
				t.Errorf("claims beside the error: %v", claims)
			}
		})
	}
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	b := newBench(t, verify.Config{})
	now := b.clock.Now()
	base := said{
		Issuer: b.issuer, Subject: "billing", ClientID: "billing", Audience: []string{audience},
		Scope: []string{"orders:read", "orders:write"}, ID: "0uzpxe1xRkmWLK4qCFBXXQ",
		Expires: now.Add(10 * time.Minute), IssuedAt: now,
	}
	changed := func(f func(c *said)) said {
		c := base
		f(&c)
		return c
	}
	signed, err := keystest.Key(keystest.RS256).Sign(keys.TypeAccessToken, []byte(b.claims.String()))
	if err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		name  string
		token string
		want  said
	}{
		{"ES256", keystest.AccessToken(keystest.ES256, b.claims), base},
		{"RS256", keystest.AccessToken(keystest.RS256, b.claims), base},
		{"signed by Signet", signed, base},
		{"AT+JWT", b.forge(b.header.With("typ", `"AT+JWT"`), b.claims), base},
		{"application/at+jwt", b.forge(b.header.With("typ", `"application/at+jwt"`), b.claims), base},
		{"Application/AT+jwt", b.forge(b.header.With("typ", `"Application/AT+jwt"`), b.claims), base},
		{"aud an array with ours alone", b.with("aud", `["`+audience+`"]`), base},
		{"aud an array with ours among others", b.with("aud", `["https://a.example.com","`+audience+`"]`),
			changed(func(c *said) { c.Audience = []string{"https://a.example.com", audience} })},
		{"aud spelled with an escape", b.with("aud", `"https:\/\/orders.example.com"`), base},
		{"no scope", b.without("scope"), changed(func(c *said) { c.Scope = nil })},
		{"empty scope", b.with("scope", `""`), changed(func(c *said) { c.Scope = nil })},
		{"one scope", b.with("scope", `"orders:read"`), changed(func(c *said) { c.Scope = []string{"orders:read"} })},
		{"exp one second ahead", b.with("exp", b.at(time.Second)),
			changed(func(c *said) { c.Expires = now.Add(time.Second) })},
		{"exp with a fraction", b.with("exp", b.at(time.Minute)+".5"),
			changed(func(c *said) { c.Expires = now.Add(time.Minute + time.Second/2) })},
		{"exp with an exponent", b.with("exp", "2e9"), changed(func(c *said) { c.Expires = time.Unix(2e9, 0).UTC() })},
		{"exp at the end of the year 9999", b.with("exp", "253402300799"),
			changed(func(c *said) { c.Expires = time.Unix(253402300799, 0).UTC() })},
		{"nbf now", b.with("nbf", b.at(0)), changed(func(c *said) { c.NotBefore = now })},
		{"nbf past", b.with("nbf", b.at(-time.Hour)), changed(func(c *said) { c.NotBefore = now.Add(-time.Hour) })},
		{"unknown claims", b.with("roles", `["admin",{"x":null}]`), base},
		{"claim names in another letter case count for nothing", b.forge(b.header, b.claims.With("EXP", "1").With("Iss", `"x"`)), base},
		{"space in the payload", b.payload("{ \n" + b.claims.String()[1:]), base},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			got, err := b.verifier.Verify(t.Context(), r.token)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(r.want, saidBy(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// An ID token, a logout token, a client assertion or a DPoP proof by the same key is no access token (V19).
func TestType(t *testing.T) {
	t.Parallel()
	b := newBench(t, verify.Config{})
	rows := []row{{"missing", b.forge(b.header.Without("typ"), b.claims), verify.ErrType},
		{"null", b.forge(b.header.With("typ", "null"), b.claims), verify.ErrType},
		{"a number", b.forge(b.header.With("typ", "1"), b.claims), verify.ErrMalformed},
		{"an array", b.forge(b.header.With("typ", `["at+jwt"]`), b.claims), verify.ErrMalformed},
		{"twice", b.forge(b.header.Twice("typ", `"at+jwt"`), b.claims), verify.ErrMalformed}}
	for _, typ := range []string{"", "JWT", "jwt", "id_token", "dpop+jwt", "client-authentication+jwt", "logout+jwt",
		"secevent+jwt", "application/jwt", "application/", "application/application/at+jwt", "text/at+jwt", "at+jwt ",
		"at+jwt;v=1", "at jwt", "at+jwt\\u0000", "rt+jwt", "a", "at+jwﬅ"} {
		rows = append(rows, row{fmt.Sprintf("%q", typ), b.forge(b.header.With("typ", `"`+typ+`"`), b.claims), verify.ErrType})
	}
	b.run(t, rows)
}

// The first rule that breaks is the reason, the cheap ones first; and a stranger's token costs no fetch.
func TestOrderOfRules(t *testing.T) {
	t.Parallel()
	b := newBench(t, verify.Config{})
	stranger := b.header.With("kid", `"stranger"`)
	wrong := b.claims.With("exp", "1").With("aud", `"x"`).Without("sub").With("cnf", "{}")
	unsigned := func(token string) string { return token[:len(token)-4] + "AAAA" } // the signature's last 3 octets are 0
	b.run(t, []row{
		{"typ before claims", b.forge(b.header.With("typ", `"JWT"`), wrong.With("iss", "1")), verify.ErrType},
		{"iss before kid", b.forge(stranger, b.claims.With("exp", "1").With("iss", `"x"`)), verify.ErrIssuer},
		{"kid before claims", b.forge(stranger, wrong.With("jti", "1")), verify.ErrUnknownKey},
		{"kid before signature", unsigned(b.forge(stranger, wrong)), verify.ErrUnknownKey},
		{"signature before aud", unsigned(b.forge(b.header, wrong)), verify.ErrSignature},
		{"aud before exp", b.forge(b.header, wrong), verify.ErrAudience},
		{"exp before sub", b.forge(b.header, wrong.With("aud", `"`+audience+`"`)), verify.ErrExpired},
		{"sub before cnf", b.forge(b.header, b.claims.Without("sub").With("cnf", "{}")), verify.ErrClaims},
	})
}
