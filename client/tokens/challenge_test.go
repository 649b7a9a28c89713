package tokens

import (
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSaysInvalidToken(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		fields []string
		want   bool
	}{
		{"no field", nil, false},
		{"empty field", []string{""}, false},
		{"commas", []string{", ,\t,"}, false},
		{"scheme alone", []string{"Bearer"}, false},
		{"no error", []string{`Bearer realm="x"`}, false},
		{"another error", []string{`Bearer error="insufficient_scope"`}, false},
		{"a longer error", []string{`Bearer error="invalid_tokens"`}, false},
		{"error in capitals", []string{`Bearer error="INVALID_TOKEN"`}, false},
		{"error with a space", []string{`Bearer error=" invalid_token"`}, false},
		{"error empty", []string{`Bearer error=""`}, false},
		{"error without a value", []string{`Bearer error=`}, false},
		{"error without a value before another parameter", []string{`Bearer error=, realm="invalid_token"`}, false},
		{"error of another scheme", []string{`DPoP error="invalid_token"`}, false},
		{"error of a scheme that begins alike", []string{`BearerX error="invalid_token"`}, false},
		{"error of the scheme behind", []string{`Bearer realm="x", DPoP error="invalid_token"`}, false},
		{"error of the scheme before", []string{`DPoP error="invalid_token", Bearer realm="x"`}, false},
		{"another parameter", []string{`Bearer error_description="invalid_token", x-error="invalid_token"`}, false},
		{"in a value", []string{`Basic realm="Bearer error=invalid_token"`}, false},
		{"in a value with escapes", []string{`Basic realm="\", Bearer error=\"invalid_token\""`}, false},
		{"in a value without an end", []string{`Basic realm="x, Bearer error=invalid_token`}, false},
		{"no end", []string{`Bearer error="invalid_token`}, false},
		{"no end but a backslash", []string{`Bearer error="invalid_token\`}, false},
		{"end escaped", []string{`Bearer error="invalid_token\"`}, false},
		{"no scheme", []string{`error="invalid_token"`}, false},
		{"scheme quoted", []string{`"Bearer" error="invalid_token"`}, false},
		{"scheme as token68", []string{`Basic Bearer=, error="invalid_token"`}, false},
		{"value before its name", []string{`Bearer ="invalid_token" error`}, false},
		{"equals sign first", []string{`=Bearer error="invalid_token"`}, false},
		{"two errors", []string{`Bearer error="invalid_request", error="invalid_token"`}, false},
		{"garbage", []string{"\x00\xff\"=,"}, false},
		{"garbage before", []string{"\xff, Bearer error=\"invalid_token\""}, false},

		{"plain", []string{`Bearer error="invalid_token"`}, true},
		{"ours", []string{`Bearer error="invalid_token", error_description="the access token is not valid", ` +
			`resource_metadata="https://a.example/.well-known/x"`}, true},
		{"token instead of a quoted string", []string{`Bearer error=invalid_token`}, true},
		{"scheme in capitals", []string{`BEARER error="invalid_token"`}, true},
		{"scheme in small letters", []string{`bearer error="invalid_token"`}, true},
		{"name in capitals", []string{`Bearer ERROR="invalid_token"`}, true},
		{"spaces around the equals sign", []string{"Bearer error \t=  \"invalid_token\""}, true},
		{"spaces around the equals sign of a token", []string{"Bearer error = invalid_token"}, true},
		{"many spaces after the scheme", []string{`Bearer    error="invalid_token"`}, true},
		{"empty elements", []string{`, , Bearer , error="invalid_token",,`}, true},
		{"escaped characters", []string{`Bearer error="in\valid\_to\ken"`}, true},
		{"after other parameters", []string{`Bearer realm="a, b", scope="x y", error="invalid_token"`}, true},
		{"after a value with a quotation mark", []string{`Bearer realm="a\", error=\"x", error="invalid_token"`}, true},
		{"after an empty value", []string{`Bearer realm="", error="invalid_token"`}, true},
		{"no space after the comma", []string{`Bearer realm="x",error="invalid_token"`}, true},
		{"after a scheme alone", []string{`Negotiate, Bearer error="invalid_token"`}, true},
		{"after token68", []string{`Negotiate YII+/~.-_x, Bearer error="invalid_token"`}, true},
		{"after token68 with padding", []string{`Negotiate YII=, Bearer error="invalid_token"`}, true},
		{"after token68 with more padding", []string{`Negotiate YII== , Bearer error="invalid_token"`}, true},
		{"after a scheme with parameters", []string{`Digest realm="x", qop="auth,auth-int", nonce=abc, Bearer error="invalid_token"`}, true},
		{"after a scheme with an error of its own", []string{`DPoP error="use_dpop_nonce", Bearer error="invalid_token"`}, true},
		{"before another scheme", []string{`Bearer error="invalid_token", DPoP error="use_dpop_nonce"`}, true},
		{"second of two for the scheme", []string{`Bearer realm="a", Bearer realm="b", error="invalid_token"`}, true},
		{"second of two with errors", []string{`Bearer error="insufficient_scope", Bearer error="invalid_token"`}, true},
		{"second field", []string{`Basic realm="x"`, `Bearer error="invalid_token"`}, true},
		{"second field after another error", []string{`Bearer error="insufficient_scope"`, `Bearer error="invalid_token"`}, true},
		{"field before garbage", []string{`Bearer error="invalid_token"`, `"`}, true},
		{"field after garbage", []string{`"`, `Bearer error="invalid_token"`}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{"Www-Authenticate": test.fields}
			if got := saysInvalidToken(&http.Response{StatusCode: http.StatusUnauthorized, Header: h}); got != test.want {
				t.Errorf("got %v of %q", got, test.fields)
			}
			for _, status := range []int{200, 400, 402, 403, 407, 500} {
				if saysInvalidToken(&http.Response{StatusCode: status, Header: h}) {
					t.Errorf("status %d refuses the token", status)
				}
			}
		})
	}
}

// Whatever challenges a server combines, and however it spells them, ours is found among them and no other taken for it.
func TestChallengesInAnySpelling(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var fields []string
		want := false
		for range rapid.IntRange(0, 3).Draw(t, "fields") {
			var challenges []string
			for range rapid.IntRange(0, 4).Draw(t, "challenges") {
				challenge, refuses := drawChallenge(t)
				challenges = append(challenges, challenge)
				want = want || refuses
			}
			fields = append(fields, strings.Join(challenges, drawComma(t)))
		}
		h := http.Header{"Www-Authenticate": fields}
		if got := saysInvalidToken(&http.Response{StatusCode: http.StatusUnauthorized, Header: h}); got != want {
			t.Fatalf("got %v, want %v, of %q", got, want, fields)
		}
	})
}

// drawChallenge draws a challenge of RFC 9110 §11.6.1.
func drawChallenge(t *rapid.T) (text string, refuses bool) {
	scheme := rapid.SampledFrom([]string{"Bearer", "bearer", "BEARER", "Basic", "DPoP", "Negotiate", "Bearer2"}).Draw(t, "scheme")
	if rapid.IntRange(0, 4).Draw(t, "form") == 0 {
		return rapid.SampledFrom([]string{scheme, scheme + " a+/", scheme + " error=", scheme + "  YII=="}).Draw(t, "token68"), false
	}
	var parameters []string
	names := rapid.Permutation([]string{"realm", "error", "scope", "x-error", "error_description"}).Draw(t, "names")
	for _, name := range names[:rapid.IntRange(1, len(names)).Draw(t, "count")] {
		value := rapid.SampledFrom([]string{"invalid_token", "insufficient_scope", "Bearer", `a", Bearer error="invalid_token`, ""}).Draw(t, "value")
		isBearer := strings.EqualFold(scheme, "bearer")
		refuses = refuses || isBearer && name == "error" && value == "invalid_token"
		if rapid.Bool().Draw(t, "capitals") {
			name = strings.ToUpper(name)
		}
		equals := rapid.SampledFrom([]string{"=", " = ", "\t=", "= "}).Draw(t, "equals")
		parameters = append(parameters, name+equals+drawSpelling(t, value))
	}
	return scheme + " " + strings.Join(parameters, drawComma(t)), refuses
}

func drawComma(t *rapid.T) string {
	return rapid.SampledFrom([]string{",", ", ", " ,\t", ", ,", ",, "}).Draw(t, "comma")
}

// drawSpelling spells a value as a token where that is possible, or as a quoted string with some escapes more than
// needed.
func drawSpelling(t *rapid.T, value string) string {
	if value != "" && !strings.ContainsAny(value, `", =`) && rapid.Bool().Draw(t, "as token") {
		return value
	}
	var quoted strings.Builder
	for _, c := range value {
		if c == '"' || c == '\\' || rapid.IntRange(0, 9).Draw(t, "escape") == 0 {
			quoted.WriteByte('\\')
		}
		quoted.WriteRune(c)
	}
	return `"` + quoted.String() + `"`
}

// FuzzChallenge: whatever a server writes, reading it ends, and what stands before and behind it does not change it.
func FuzzChallenge(f *testing.F) {
	for _, seed := range []string{
		`Bearer error="invalid_token"`, `Bearer error=invalid_token`, `bearer ERROR = "in\valid_token"`,
		`DPoP error="x", Bearer error="invalid_token"`,
		`Negotiate YII==, Bearer realm="a\"b", error="invalid_token"`, `Bearer error="invalid_token`, `="`, `"`, ``, "\xff", `Bearer =, ,`, `Bearer error="\`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		got := refusesToken(field)
		lower := strings.ToLower(field)
		if got && (!strings.Contains(lower, "bearer") || !strings.Contains(lower, "error")) {
			t.Fatalf("the token is refused by %q", field)
		}
		for _, before := range []string{", ", `Basic realm="a, b", `, `Negotiate YII=, `, `DPoP error="invalid_token",`, "Digest,"} {
			if refusesToken(before+field) != got {
				t.Fatalf("%q before %q changes it", before, field)
			}
		}
		if got && !refusesToken(field+`, Basic realm="x"`) {
			t.Fatalf("a challenge behind %q changes it", field)
		}
	})
}
