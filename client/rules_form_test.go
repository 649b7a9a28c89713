package main

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

func TestRulesOfForm(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	good := j.forge(j.header, j.claims)
	part := strings.Split(good, ".")
	last := part[2]
	j.run(t, "form", []ruleRow{
		{"good", good, ""},
		{"empty", "", malformed},
		{"one segment", part[0], malformed},
		{"two", part[0] + "." + part[1], malformed},
		{"four", good + ".", malformed},
		{"five, as JWE", strings.Repeat("e30.", 4) + "e30", malformed},
		{"flattened JSON", fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, part[0], part[1], last), malformed},
		{"general JSON", fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q}]}`, part[1], part[0], last), malformed},
		{"detached", part[0] + ".." + last, signature},
		{"nested", j.raw(j.header.String(), good), badClaims},
		{"quoted", strconv.Quote(good), malformed},
		{"bearer", "Bearer " + good, malformed},
		{"padding", good + "=", malformed},
		{"standard alphabet", part[0] + "." + part[1] + ".+" + last[1:], malformed},
		{"space inside", part[0] + ". " + part[1] + "." + last, malformed},
		{"line break inside", part[0] + ".\n" + part[1] + "." + last, malformed},
		{"carriage return at the end", good + "\r", malformed},
		{"BOM", "\ufeff" + good, malformed},
		{"percent encoding", strings.ReplaceAll(good, ".", "%2E"), malformed},
		{"capitals", strings.ToUpper(good), malformed},
		{"last bits of the signature", part[0] + "." + part[1] + "." + last[:len(last)-1] + "B", malformed},
		{"8 KiB and one more", good + strings.Repeat("A", keys.MaxTokenSize+1-len(good)), malformed},
		{"a million dots", strings.Repeat(".", 1e6), malformed},
		{"NUL", "\x00" + good, malformed},
	})
	j.run(t, "header", []ruleRow{
		{"alg twice", j.forge(j.header.Twice("alg", `"ES256"`), j.claims), malformed},
		{"kid twice", j.forge(j.header.Twice("kid", `"x"`), j.claims), malformed},
		{"escaped name", j.raw(strings.Replace(j.header.String(), `"alg"`, `"\u0061lg"`, 1), j.claims.String()), malformed},
		{"ALG", j.raw(strings.Replace(j.header.String(), `"alg"`, `"ALG"`, 1), j.claims.String()), algorithm},
		{"trailing bytes", j.raw(j.header.String()+"{}", j.claims.String()), malformed},
		{"an array", j.raw(`["ES256"]`, j.claims.String()), malformed},
		{"depth 10,000", j.raw(strings.Repeat(`{"a":`, 1e4)+"1"+strings.Repeat("}", 1e4), j.claims.String()), malformed},
		{"crit unknown", j.head("crit", `["x"]`), malformed},
		{"crit empty", j.head("crit", `[]`), malformed},
		{"crit known", j.head("crit", `["b64"]`), malformed},
		{"b64 false", j.head("b64", `false`), malformed},
		{"b64 text", j.head("b64", `"false"`), malformed},
		{"zip", j.head("zip", `"DEF"`), malformed},
		{"not UTF-8", j.head("x", "\"\xff\""), malformed},
		{"jku, x5u and jwk, which are not asked", j.forge(j.header.With("jku", `"http://127.0.0.1:1/"`).With("x5u", `"http://127.0.0.1:1/"`).
			With("jwk", `{"kty":"oct","k":"AA"}`), j.claims), ""},
		{"kid missing", j.forge(j.header.Without("kid"), j.claims), malformed},
		{"kid empty", j.head("kid", `""`), malformed},
		{"kid a number", j.head("kid", `1`), malformed},
		{"kid unknown", j.head("kid", `"unknown"`), unknownKey},
		{"kid a path", j.head("kid", `"../../dev/null"`), unknownKey},
		{"kid SQL", j.head("kid", `"' OR 1=1 --"`), unknownKey},
		{"kid NUL and line break", j.head("kid", `"\u0000\n"`), unknownKey},
		{"kid escapes", j.head("kid", `"\u001b[2J"`), unknownKey},
		{"kid of 10 KB", j.head("kid", strconv.Quote(strings.Repeat("k", 10<<10))), malformed},
		{"another issuer's key", keystest.AccessToken(keystest.ES256Other, j.claims), unknownKey},
	})
}

func TestRulesOfAlgorithmAndSignature(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	good := j.forge(j.header, j.claims)
	part := strings.Split(good, ".")
	input := part[0] + "." + part[1]
	raw, err := base64.RawURLEncoding.DecodeString(part[2])
	if err != nil {
		t.Fatal(err)
	}
	unsigned := func(alg string) string {
		return keystest.Encode(j.header.With("alg", alg).String()) + "." + part[1] + "."
	}
	signed := func(octets ...[]byte) string {
		return input + "." + keystest.Encode(strings.Join(stringsOf(octets), ""))
	}
	flip := func(at int) string {
		changed := append([]byte(nil), raw...)
		changed[at] ^= 1
		return signed(changed)
	}
	rs256 := keystest.AccessHeader(keystest.RS256)
	rows := []ruleRow{
		{"RS256", keystest.AccessToken(keystest.RS256, j.claims), ""},
		{"none, without signature", unsigned(`"none"`), malformed},
		{"none, with one", unsigned(`"none"`) + part[2], algorithm},
		{"missing", j.forge(j.header.Without("alg"), j.claims), algorithm},
		{"number", j.head("alg", "256"), malformed},
		{"array", j.head("alg", `["ES256"]`), malformed},
		{"that of the other key", j.head("alg", `"RS256"`), algorithm},
		{"that of the other key, by it", keystest.Forge(keystest.RS256, rs256.With("alg", `"ES256"`).String(), j.claims.String()), algorithm},
		{"empty signature", input + ".", malformed},
		{"first third", flip(5), signature}, {"second third", flip(30), signature}, {"last third", flip(60), signature},
		{"63 octets", signed(raw[:63]), signature}, {"65 octets", signed(raw, raw[:1]), signature},
		{"r and s zero", signed(make([]byte, 64)), signature},
		{"r too large", signed([]byte(strings.Repeat("\xff", 32)), raw[32:]), signature},
		{"s too large", signed(raw[:32], []byte(strings.Repeat("\xff", 32))), signature},
		{"of another token", input + "." + strings.Split(j.with("jti", `"other"`), ".")[2], signature},
		{"by another key under our kid", keystest.Forge(keystest.ES256Other, j.header.String(), j.claims.String()), signature},
		{"by a P-384 key under our kid", keystest.Forge(keystest.WrongCurve, j.header.String(), j.claims.String()), signature},
		{"RSA of another length", keystest.Forge(keystest.WeakRSA, rs256.String(), j.claims.String()), signature},
	}
	for _, alg := range []string{"None", "nOnE", "HS256", "HS384", "HS512", "PS256", "ES384", "EdDSA", "es256", "RS256 ", ""} {
		rows = append(rows, ruleRow{"alg " + alg, j.head("alg", strconv.Quote(alg)), algorithm})
	}
	j.run(t, "signature", rows)
}

func stringsOf(octets [][]byte) (texts []string) {
	for _, o := range octets {
		texts = append(texts, string(o))
	}
	return texts
}

func TestRulesOfType(t *testing.T) {
	t.Parallel()
	j := newJudge(t)
	rows := []ruleRow{{"missing", j.forge(j.header.Without("typ"), j.claims), wrongType}, {"number", j.head("typ", "1"), malformed}}
	for _, typ := range []string{"", "JWT", "jwt", "id_token", "dpop+jwt", "client-authentication+jwt", "logout+jwt", "at+jwt ", "at", "text/at+jwt"} {
		rows = append(rows, ruleRow{strconv.Quote(typ), j.head("typ", strconv.Quote(typ)), wrongType})
	}
	for _, typ := range []string{"at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"} {
		rows = append(rows, ruleRow{strconv.Quote(typ), j.head("typ", strconv.Quote(typ)), ""})
	}
	j.run(t, "typ", rows)
}
