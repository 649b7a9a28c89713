package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

const trusted = "https://issuer.example.com"

// judge is a verification whose keys, ES256 and RS256, are in a file, and whose clock stands still.
type judge struct {
	verification
	header keystest.Object // of a token by ES256
	claims keystest.Object
}

func newJudge(t testing.TB) judge {
	t.Helper()
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, mustJSON(keystest.Set(keystest.ES256, keystest.RS256)), 0o600); err != nil {
		t.Fatal(err)
	}
	now := keystest.NewClock().Now()
	return judge{
		verification: verification{issuer: trusted, audience: keystest.Audience, jwks: file, leeway: 30 * time.Second, now: now},
		header:       keystest.AccessHeader(keystest.ES256),
		claims:       keystest.AccessClaims(trusted, keystest.Audience, now),
	}
}

// ruleRow is a token and the rule that it breaks, "" for none.
type ruleRow struct{ name, token, want string }

func (j judge) run(t *testing.T, class string, rows []ruleRow) {
	t.Helper()
	for _, row := range rows {
		t.Run(class+"/"+row.name, func(t *testing.T) {
			payload, err := j.verify(t.Context(), row.token)
			var rule *ruleError
			if err != nil && !errors.As(err, &rule) {
				t.Fatal(err)
			}
			switch {
			case rule == nil && row.want != "":
				t.Fatalf("accepted: %s", payload)
			case rule != nil && rule.name != row.want:
				t.Errorf("got %v, want %q", rule, row.want)
			case rule != nil && hasEscape(rule.Error()):
				t.Errorf("a control character is in %q", rule)
			}
		})
	}
}

func (j judge) head(name, value string) string { return j.forge(j.header.With(name, value), j.claims) }

func (j judge) with(name, value string) string { return j.forge(j.header, j.claims.With(name, value)) }

func (j judge) without(name string) string { return j.forge(j.header, j.claims.Without(name)) }

func (j judge) at(after time.Duration) string { return strconv.FormatInt(j.now.Add(after).Unix(), 10) }

func (j judge) forge(header, claims keystest.Object) string {
	return keystest.Forge(keystest.ES256, header.String(), claims.String())
}

// raw signs any two texts.
func (j judge) raw(header, payload string) string {
	return keystest.Forge(keystest.ES256, header, payload)
}

// The names are those of resource/verify, whose metrics and log have them.
const (
	malformed, algorithm, wrongType, unknownKey, signature = "malformed", "algorithm", "type", "unknown_key", "signature"
	badClaims, wrongIssuer, wrongAudience, expired         = "claims", "issuer", "audience", "expired"
	notYetValid, confirmation                              = "not_yet_valid", "confirmation"
)

func TestRulesOfTimes(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	rows := []ruleRow{
		{"exp missing", j.without("exp"), badClaims},
		{"iat missing", j.without("iat"), badClaims},
		{"nbf missing", j.without("nbf"), ""},
		{"exp past by less than the leeway", j.with("exp", j.at(-29*time.Second)), ""},
		{"exp past by the leeway", j.with("exp", j.at(-30*time.Second)), expired},
		{"exp past by more", j.with("exp", j.at(-31*time.Second)), expired},
		{"nbf ahead by the leeway", j.with("nbf", j.at(30*time.Second)), ""},
		{"nbf ahead by more", j.with("nbf", j.at(31*time.Second)), notYetValid},
		{"iat ahead by the leeway", j.with("iat", j.at(30*time.Second)), ""},
		{"iat ahead by more", j.with("iat", j.at(31*time.Second)), notYetValid},
		{"expired and not yet valid", j.forge(j.header, j.claims.With("exp", "1").With("nbf", j.at(time.Hour))), expired},
		{"exp with a fraction", j.with("exp", j.at(time.Minute)+".5"), ""},
		{"exp at the end of time", j.with("exp", "253402300799"), ""},
	}
	for _, claim := range []string{"exp", "nbf", "iat"} {
		for _, value := range []string{"null", `"` + j.at(time.Minute) + `"`, `"2026-11-23T10:25:00Z"`, "[1]", "{}", "true", "-1", "0", "0.5",
			"1e300", "1e400", "9223372036854775808", "253402300800", "NaN"} {
			rows = append(rows, ruleRow{claim + " " + value, j.with(claim, value), badClaims})
		}
	}
	j.run(t, "times", rows)

	exact := j
	exact.leeway = 0
	exact.run(t, "no leeway", []ruleRow{
		{"exp now", j.with("exp", j.at(0)), expired},
		{"exp in a second", j.with("exp", j.at(time.Second)), ""},
		{"nbf in a second", j.with("nbf", j.at(time.Second)), notYetValid},
	})
}

func TestRulesOfClaims(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	rows := []ruleRow{
		{"iss missing", j.without("iss"), wrongIssuer},
		{"iss null", j.with("iss", "null"), badClaims},
		{"iss array", j.with("iss", `["`+trusted+`"]`), badClaims},
		{"iss with a slash", j.with("iss", `"`+trusted+`/"`), wrongIssuer},
		{"iss in capitals", j.with("iss", `"https://ISSUER.example.com"`), wrongIssuer},
		{"iss of another, and its key too", keystest.AccessToken(keystest.ES256Other, j.claims.With("iss", `"https://b.example"`)), wrongIssuer},
		{"aud missing", j.without("aud"), wrongAudience},
		{"aud null", j.with("aud", "null"), badClaims},
		{"aud number", j.with("aud", "1"), badClaims},
		{"aud empty array", j.with("aud", "[]"), badClaims},
		{"aud array with a number", j.with("aud", `["`+keystest.Audience+`",1]`), badClaims},
		{"aud another's", j.with("aud", `"https://billing.example.com"`), wrongAudience},
		{"aud with a slash", j.with("aud", `"`+keystest.Audience+`/"`), wrongAudience},
		{"aud array with ours", j.with("aud", `["https://billing.example.com","`+keystest.Audience+`"]`), ""},
		{"cnf", j.with("cnf", `{"jkt":"x"}`), confirmation},
		{"cnf null", j.with("cnf", "null"), confirmation},
		{"scope number", j.with("scope", "1"), badClaims},
		{"scope missing", j.without("scope"), ""},
		{"claim twice", j.forge(j.header, j.claims.Twice("exp", j.at(time.Hour))), badClaims},
		{"unknown claim twice", j.forge(j.header, j.claims.Twice("x", "1").Twice("x", "2")), badClaims},
		{"EXP for exp", j.forge(j.header, j.claims.Without("exp").With("EXP", j.at(time.Hour))), badClaims},
		{"escaped name", j.raw(j.header.String(), strings.Replace(j.claims.String(), `"exp"`, `"\u0065xp"`, 1)), badClaims},
		{"not UTF-8", j.with("x", "\"\xff\""), badClaims},
		{"lone surrogate", j.with("x", `"\ud800"`), badClaims},
		{"trailing bytes", j.raw(j.header.String(), j.claims.String()+" "), badClaims},
		{"not an object", j.raw(j.header.String(), `[]`), badClaims},
		{"empty", j.raw(j.header.String(), ``), badClaims},
		{"text", j.raw(j.header.String(), `"iss"`), badClaims},
	}
	for _, claim := range []string{"sub", "client_id", "jti"} {
		rows = append(rows, ruleRow{claim + " missing", j.without(claim), badClaims}, ruleRow{claim + " number", j.with(claim, "7"), badClaims},
			ruleRow{claim + " null", j.with(claim, "null"), badClaims}, ruleRow{claim + " empty", j.with(claim, `""`), badClaims})
	}
	j.run(t, "claims", rows)
}

// No rule may be passed by claims that anybody can write: each is held against what the signature covers.
func FuzzRules(f *testing.F) {
	j := newJudge(f)
	for _, seed := range []string{j.claims.String(), j.claims.With("exp", "1").String(), "{}", `{"iss":"` + trusted + `"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		_, err := j.verify(t.Context(), j.raw(j.header.String(), payload))
		var rule *ruleError
		if err != nil && !errors.As(err, &rule) {
			t.Fatal(err)
		}
		var c accessClaims
		isGood := keys.DecodeObject([]byte(payload), &c) == nil && c.Issuer == trusted && c.Audience.Contains(keystest.Audience) &&
			c.Expires.Time().After(j.now.Add(-j.leeway)) && c.Subject != "" && c.ClientID != "" && c.ID != "" && c.Confirmation == nil
		if err == nil && !isGood {
			t.Errorf("accepted: %s", payload)
		}
	})
}

func TestWriteJSON(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	if err := writeJSON(&text, map[string]string{"a<&>": "\x1b[2J\u009b\x7f\u202e\U0001f600é"}); err != nil {
		t.Fatal(err)
	}
	want := "{\n  \"a<&>\": \"\\u001b[2J\\u009b\\u007f\\u202e\\ud83d\\ude00\\u00e9\"\n}\n"
	if text.String() != want {
		t.Errorf("got %s, want %s", text.String(), want)
	}
}
