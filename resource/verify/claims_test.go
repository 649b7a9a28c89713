package verify_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

func TestIdentity(t *testing.T) {
	t.Parallel()
	b := newBench(t, verify.Config{})
	iss := strconv.Quote(b.issuer)
	rows := []row{
		{"iss missing", b.without("iss"), verify.ErrIssuer},
		{"iss null", b.with("iss", "null"), verify.ErrClaims},
		{"iss empty", b.with("iss", `""`), verify.ErrIssuer},
		{"iss with a trailing slash", b.with("iss", strconv.Quote(b.issuer+"/")), verify.ErrIssuer},
		{"iss with a port too many", b.with("iss", strconv.Quote(b.issuer+"0")), verify.ErrIssuer},
		{"iss in capitals", b.with("iss", strconv.Quote(strings.ToUpper(b.issuer))), verify.ErrIssuer},
		{"iss with another scheme", b.with("iss", strconv.Quote(strings.Replace(b.issuer, "http", "https", 1))), verify.ErrIssuer},
		{"iss with space", b.with("iss", strconv.Quote(b.issuer+" ")), verify.ErrIssuer},
		{"iss with NUL", b.with("iss", strconv.Quote(b.issuer)[:len(iss)-1]+`\u0000"`), verify.ErrIssuer},
		{"iss an array", b.with("iss", "["+iss+"]"), verify.ErrClaims},
		{"iss a number", b.with("iss", "1"), verify.ErrClaims},
		{"iss an object", b.with("iss", "{}"), verify.ErrClaims},
		{"iss twice", b.forge(b.header, b.claims.Twice("iss", `"https://evil.example.com"`)), verify.ErrClaims},
		{"another iss first", b.forge(b.header, b.claims.With("iss", `"https://evil.example.com"`).Twice("iss", iss)), verify.ErrClaims},
		{"Iss instead", b.forge(b.header, b.claims.Without("iss").With("Iss", iss)), verify.ErrIssuer},

		{"aud missing", b.without("aud"), verify.ErrAudience},
		{"aud null", b.with("aud", "null"), verify.ErrClaims},
		{"aud a number", b.with("aud", "1"), verify.ErrClaims},
		{"aud true", b.with("aud", "true"), verify.ErrClaims},
		{"aud an object", b.with("aud", `{"`+audience+`":1}`), verify.ErrClaims},
		{"aud empty", b.with("aud", `""`), verify.ErrAudience},
		{"aud an empty array", b.with("aud", "[]"), verify.ErrClaims},
		{"aud an array with a number", b.with("aud", `["`+audience+`",1]`), verify.ErrClaims},
		{"aud an array with null", b.with("aud", `[null,"`+audience+`"]`), verify.ErrClaims},
		{"aud an array in an array", b.with("aud", `[["`+audience+`"]]`), verify.ErrClaims},
		{"aud another's", b.with("aud", `"https://billing.example.com"`), verify.ErrAudience},
		{"aud several others", b.with("aud", `["https://billing.example.com","https://mail.example.com"]`), verify.ErrAudience},
		{"aud with a trailing slash", b.with("aud", `"`+audience+`/"`), verify.ErrAudience},
		{"aud in capitals", b.with("aud", `"`+strings.ToUpper(audience)+`"`), verify.ErrAudience},
		{"aud that begins like ours", b.with("aud", `"`+audience+`.evil.example.com"`), verify.ErrAudience},
		{"aud that is part of ours", b.with("aud", `"`+audience[:len(audience)-1]+`"`), verify.ErrAudience},
		{"aud several in one text", b.with("aud", `"`+audience+` https://mail.example.com"`), verify.ErrAudience},
		{"aud a wildcard", b.with("aud", `"*"`), verify.ErrAudience},
		{"aud the issuer", b.with("aud", iss), verify.ErrAudience},
		{"aud twice", b.forge(b.header, b.claims.Twice("aud", `"https://billing.example.com"`)), verify.ErrClaims},

		{"scope an array", b.with("scope", `["orders:read"]`), verify.ErrClaims},
		{"scope a number", b.with("scope", "1"), verify.ErrClaims},
		// A key that the client must prove to have (RFC 7800, RFC 9449): accepting it like any other would undo that.
		{"cnf", b.with("cnf", `{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}`), verify.ErrConfirmation},
		{"cnf empty", b.with("cnf", "{}"), verify.ErrConfirmation},
		{"cnf null", b.with("cnf", "null"), verify.ErrConfirmation},
		{"cnf false", b.with("cnf", "false"), verify.ErrConfirmation},
	}
	for _, claim := range []string{"sub", "client_id", "jti"} {
		for name, value := range map[string]string{"null": "null", "empty": `""`} {
			rows = append(rows, row{claim + " " + name, b.with(claim, value), verify.ErrClaims})
		}
		for name, value := range map[string]string{"a number": "7", "an array": `["billing"]`, "an object": "{}", "true": "true"} {
			rows = append(rows, row{claim + " " + name, b.with(claim, value), verify.ErrClaims})
		}
		rows = append(rows, row{claim + " missing", b.without(claim), verify.ErrClaims},
			row{claim + " twice", b.forge(b.header, b.claims.Twice(claim, `"admin"`)), verify.ErrClaims},
			row{claim + " in capitals alone", b.forge(b.header, b.claims.Without(claim).With(strings.ToUpper(claim), `"billing"`)), verify.ErrClaims})
	}
	b.run(t, rows)
}

func TestClaimsText(t *testing.T) {
	t.Parallel()
	b := newBench(t, verify.Config{})
	text := b.claims.String()
	many := b.claims
	for i := range 300 {
		many = append(many, keystest.Member{Name: fmt.Sprintf("c%03d", i), Value: "0"})
	}
	rows := []row{
		{"300 claims", b.forge(b.header, many), nil},
		{"300 claims and a duplicate", b.forge(b.header, many.Twice("c007", "0")), verify.ErrClaims},
		{"duplicate in a nested object", b.with("x", `{"y":{"z":1,"z":2}}`), verify.ErrClaims},
		{"EXP instead of exp", b.forge(b.header, b.claims.Without("exp").With("EXP", b.at(time.Minute))), verify.ErrClaims},
		{"exp with an escape", b.forge(b.header, b.claims.Without("exp").With(`\u0065xp`, b.at(time.Minute))), verify.ErrClaims},
		{"exp again with an escape", b.forge(b.header, b.claims.Twice(`\u0065xp`, b.at(time.Hour))), verify.ErrClaims},
		{"an escape in an unknown name", b.forge(b.header, b.claims.With(`\u0078`, "1")), verify.ErrClaims},
		{"an escape in a nested name", b.with("x", `{"\u0079":1}`), verify.ErrClaims},
		{"invalid UTF-8", b.with("sub", "\"\xff\""), verify.ErrClaims},
		{"invalid UTF-8 in a name", b.forge(b.header, b.claims.With("\xff", "1")), verify.ErrClaims},
		{"invalid UTF-8 in an unknown claim", b.with("x", "\"\xc3\x28\""), verify.ErrClaims},
		{"overlong UTF-8", b.with("sub", "\"\xc0\xaf\""), verify.ErrClaims},
		{"lone surrogate", b.with("sub", `"\ud800"`), verify.ErrClaims},
		{"lone low surrogate", b.with("x", `"\udc00"`), verify.ErrClaims},
		{"control character in text", b.with("sub", "\"a\tb\""), verify.ErrClaims},
		{"trailing letter", b.payload(text + "x"), verify.ErrClaims},
		{"trailing NUL", b.payload(text + "\x00"), verify.ErrClaims},
		{"trailing space", b.payload(text + " "), verify.ErrClaims},
		{"trailing line break", b.payload(text + "\n"), verify.ErrClaims},
		{"space before", b.payload(" " + text), verify.ErrClaims},
		{"byte order mark", b.payload("\ufeff" + text), verify.ErrClaims},
		{"two objects", b.payload(text + text), verify.ErrClaims},
		{"an array", b.payload("[" + text + "]"), verify.ErrClaims},
		{"a string", b.payload(strconv.Quote(text)), verify.ErrClaims},
		{"null", b.payload("null"), verify.ErrClaims},
		{"empty object", b.payload("{}"), verify.ErrIssuer},
		{"empty", b.payload(""), verify.ErrClaims},
		{"cut short", b.payload(text[:len(text)-1]), verify.ErrClaims},
		{"comma at the end", b.payload(text[:len(text)-1] + ",}"), verify.ErrClaims},
		{"comment", b.payload(text[:len(text)-1] + "/**/}"), verify.ErrClaims},
		{"single quotes", b.payload(strings.ReplaceAll(text, `"`, `'`)), verify.ErrClaims},
		{"a token in the payload", b.payload(b.forge(b.header, b.claims)), verify.ErrClaims}, // nested: RFC 7519 §5.2
		{"as deep as a token can be", b.with("x", strings.Repeat("[", 2500)+strings.Repeat("]", 2500)), nil},
		{"deep and unclosed", b.with("x", strings.Repeat("[", 5000)), verify.ErrClaims},
		{"depth 10,000", b.with("x", strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)), verify.ErrMalformed},
		{"10,000 claims", b.payload("{" + strings.Repeat(`"c":0,`, 10_000) + text[1:]), verify.ErrMalformed},
	}
	b.run(t, rows)
}

func TestClaimsDecode(t *testing.T) {
	t.Parallel()
	b := newBench(t, verify.Config{})
	claims, err := b.verifier.Verify(t.Context(), b.with("roles", `["a","b"]`))
	if err != nil {
		t.Fatal(err)
	}
	var mine struct {
		Roles []string `json:"roles"`
	}
	if err := claims.Decode(&mine); err != nil || !cmp.Equal(mine.Roles, []string{"a", "b"}) {
		t.Errorf("%v, %v", mine, err)
	}
	var wrong struct {
		Roles string `json:"roles"`
	}
	if err := claims.Decode(&wrong); err == nil {
		t.Error("an array decoded into a string")
	}
	if err := (verify.Claims{}).Decode(&mine); err == nil {
		t.Error("claims that no token gave were decoded")
	}
}

func TestHasScope(t *testing.T) {
	t.Parallel()
	b := newBench(t, verify.Config{})
	claims, err := b.verifier.Verify(t.Context(), b.with("scope", `"orders:read Orders:Write a\tb  x"`))
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]bool{
		"orders:read": true, "Orders:Write": true, "x": true,
		"orders:write": false, "ORDERS:READ": false, "orders": false, "orders:read Orders:Write": false, "a": false, "b": false,
		"": false,
	} {
		if got := claims.HasScope(value); got != want {
			t.Errorf("HasScope(%q) = %v", value, got)
		}
	}
}
