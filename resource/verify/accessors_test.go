package verify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// claimsOf is what a payload says, or the end of the test.
func claimsOf(t testing.TB, payload string) verify.Claims {
	t.Helper()
	claims, err := verify.InsecureClaims([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return claims
}

// fullPayload has every claim that there is an accessor for.
const fullPayload = `{"iss":"i","sub":"s","client_id":"c","aud":["a","b"],"scope":"x  y","jti":"j",` +
	`"exp":1795428900.5,"iat":1795428300,"nbf":1795428301,"roles":["admin"]}`

func TestAccessors(t *testing.T) {
	t.Parallel()
	want := said{Issuer: "i", Subject: "s", ClientID: "c", ID: "j",
		Audience: []string{"a", "b"}, Scope: []string{"x", "y"},
		Expires: time.Unix(1795428900, 5e8).UTC(), IssuedAt: time.Unix(1795428300, 0).UTC(),
		NotBefore: time.Unix(1795428301, 0).UTC()}
	claims := claimsOf(t, fullPayload)
	if diff := cmp.Diff(want, saidBy(claims)); diff != "" {
		t.Error(diff)
	}
	if claims.Scope() != "x  y" {
		t.Errorf("scope %q", claims.Scope())
	}
	// The same with the plainest spelling, which is read by another way.
	plain := strings.NewReplacer(".5", "", `["a","b"]`, `"a"`).Replace(fullPayload)
	want.Audience, want.Expires = want.Audience[:1], time.Unix(1795428900, 0).UTC()
	for _, payload := range []string{plain, "{ " + plain[1:]} {
		if diff := cmp.Diff(want, saidBy(claimsOf(t, payload))); diff != "" {
			t.Errorf("%s: %s", payload, diff)
		}
	}
}

// The zero value says nothing, and says it without a panic.
func TestZeroClaims(t *testing.T) {
	t.Parallel()
	var zero verify.Claims
	if diff := cmp.Diff(said{}, saidBy(zero)); diff != "" {
		t.Error(diff)
	}
	moments := map[string]time.Time{"exp": zero.Expires(), "iat": zero.IssuedAt(), "nbf": zero.NotBefore()}
	for name, moment := range moments {
		if !moment.IsZero() {
			t.Errorf("%s is %v", name, moment)
		}
	}
	if zero.Scope() != "" || zero.HasScope("x") || zero.HasScope("") || zero.Audience() != nil {
		t.Error("a scope or an audience out of nothing")
	}
	if got := zero.String(); got != `token "" of client ""` {
		t.Error(got)
	}
	mine := struct{ Sub string }{"before"}
	if err := zero.Decode(&mine); err == nil || mine.Sub != "before" {
		t.Errorf("%v, %v", err, mine)
	}
	if (verify.Claims{}) != zero || claimsOf(t, "{}") == zero {
		t.Error("claims of nothing are not the zero value, and others are")
	}
}

// What a caller does with what it was given is its own affair: not that of other requests with the same token, nor of
// the text that the claims came from.
func TestClaimsCannotBeChanged(t *testing.T) {
	t.Parallel()
	for _, aud := range []string{`["` + audience + `","b"]`, `["` + audience + `"]`, `"` + audience + `"`} {
		b := newBench(t, verify.Config{})
		token := b.with("aud", aud)
		for range 3 {
			claims, err := b.verifier.Verify(t.Context(), token)
			if err != nil {
				t.Fatal(err)
			}
			mine := claims.Audience()
			mine[0] = "changed"
			_ = append(mine[:0], "x", "y")
			if got := claims.Audience()[0]; got != audience {
				t.Errorf("aud is %q now", got)
			}
		}
	}
	payload := []byte(fullPayload)
	claims, err := verify.InsecureClaims(payload)
	if err != nil {
		t.Fatal(err)
	}
	before := saidBy(claims)
	for i := range payload {
		payload[i] = 'x'
	}
	if diff := cmp.Diff(before, saidBy(claims)); diff != "" {
		t.Error(diff)
	}
	if err := claims.Decode(&struct{}{}); err != nil {
		t.Error(err)
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	type nested struct {
		Level int `json:"level"`
	}
	type mine struct {
		Tenant string   `json:"tenant"`
		Roles  []string `json:"roles"`
		Level  *int     `json:"level"`
		Flag   bool     `json:"flag"`
		Nested nested   `json:"nested"`
	}
	one := 1
	rows := []struct {
		name, claims string
		want         mine
		refused      bool
	}{
		{"nothing of mine", `"other":1`, mine{Tenant: "before"}, false},
		{"all", `"tenant":"t","roles":["a"],"level":1,"flag":true,"nested":{"level":2}`,
			mine{"t", []string{"a"}, &one, true, nested{2}}, false},
		{"null", `"tenant":null,"level":null`, mine{}, false},
		{"an escape in a value", `"tenant":"\u0074"`, mine{Tenant: "t"}, false},
		{"another letter case", `"Tenant":"t","TENANT":"t"`, mine{Tenant: "before"}, false},
		{"a number for text", `"tenant":1`, mine{}, true},
		{"text for a number", `"level":"1"`, mine{}, true},
		{"a fraction for an integer", `"level":1.5`, mine{}, true},
		{"a number too large", `"level":99999999999999999999`, mine{}, true},
		{"a number for a truth", `"flag":1`, mine{}, true},
		{"text for an array", `"roles":"a"`, mine{}, true},
		{"a number in an array", `"roles":["a",1]`, mine{}, true},
		{"an array for an object", `"nested":[]`, mine{}, true},
		{"a wrong type deep inside", `"nested":{"level":"2"}`, mine{}, true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			got := mine{Tenant: "before"}
			err := claimsOf(t, `{"iss":"i",`+row.claims+"}").Decode(&got)
			if (err != nil) != row.refused {
				t.Fatalf("error %v", err)
			}
			if err != nil {
				if !strings.HasPrefix(err.Error(), "decoding claims: ") {
					t.Error(err)
				}
				return
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	claims := claimsOf(t, `{"tenant":"t"}`)
	for name, to := range map[string]any{"nil": nil, "no pointer": mine{}, "a nil pointer": (*mine)(nil)} {
		if err := claims.Decode(to); err == nil {
			t.Errorf("decoded into %s", name)
		}
	}
}

// InsecureClaims leaves out the proof and nothing else: the text is read as strictly as that of a token.
func TestInsecureClaims(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{"", "{", "null", "[]", `"x"`, "1", "{}{}", "{} ", " {}", "{}\x00", `{"iss":1}`,
		`{"sub":null}`,
		`{"iss":"a","iss":"a"}`, `{"x":{"y":1,"y":1}}`, `{"\u0069ss":"a"}`, "{\"x\":\"\xff\"}", `{"exp":"1"}`, `{"exp":0}`,
		`{"exp":1e400}`, `{"iat":null}`, `{"nbf":-1}`, `{"aud":[]}`, `{"aud":null}`, `{"aud":[1]}`, `{"scope":[]}`,
		`{"jti":{}}`,
		`{"client_id":true}`, `{"iss":"a",}`, `{'iss':'a'}`, "{\"iss\":\"a\"/**/}"} {
		claims, err := verify.InsecureClaims([]byte(payload))
		if err == nil || claims != (verify.Claims{}) {
			t.Errorf("%s: %v", payload, err)
			continue
		}
		wantError(t, err, verify.ErrClaims)
	}
	if _, err := verify.InsecureClaims(nil); err == nil {
		t.Error("nil")
	}
	for _, payload := range []string{"{}", `{"iss":""}`, `{"cnf":{}}`, `{"exp":1}`, fullPayload} {
		if _, err := verify.InsecureClaims([]byte(payload)); err != nil {
			t.Errorf("%s: %v", payload, err)
		}
	}
}

// However claims are printed, no part of the token is: who reads a log cannot use it.
func TestStringShowsNoToken(t *testing.T) {
	t.Parallel()
	b := newBench(t, verify.Config{})
	token := b.with("secret", `"hunter2hunter2"`)
	for range 3 {
		claims, err := b.verifier.Verify(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := claims.String(), `token "0uzpxe1xRkmWLK4qCFBXXQ" of client "billing"`; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		for _, format := range []string{"%v", "%+v", "%s", "%q"} {
			text := fmt.Sprintf(format, claims)
			for part := range strings.SplitSeq(token, ".") {
				if strings.Contains(text, part) || strings.Contains(text, "hunter2") {
					t.Errorf("%s shows %s", format, text)
				}
			}
		}
	}
	forgedName := claimsOf(t, `{"jti":"a\nb","client_id":"c\" of client \"d"}`)
	if got, want := forgedName.String(), `token "a\nb" of client "c\" of client \"d"`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestHasScopes(t *testing.T) {
	t.Parallel()
	claims := claimsOf(t, `{"scope":"orders:read orders:write  admin"}`)
	for _, row := range []struct {
		values []string
		want   bool
	}{
		{[]string{"orders:read"}, true},
		{[]string{"admin", "orders:read"}, true},
		{[]string{"orders:read", "orders:write", "admin"}, true},
		{[]string{"orders:read", "orders:read"}, true},
		{[]string{"orders:read", "other"}, false},
		{[]string{"other", "orders:read"}, false},
		{[]string{"orders:read", "admin", "other"}, false},
		{[]string{"orders:read", ""}, false},
		{[]string{"", "orders:read"}, false},
		{[]string{"orders:read", "Admin"}, false},
		{[]string{"orders:read orders:write"}, false},
	} {
		if got := claims.HasScope(row.values[0], row.values[1:]...); got != row.want {
			t.Errorf("%q: %v", row.values, got)
		}
	}
	for value := range claims.Scopes() { // a caller may stop early
		if value != "orders:read" {
			t.Error(value)
		}
		break
	}
	for scope, want := range map[string][]string{"": nil, " ": nil, " a": {"a"}, "a ": {"a"}, "a a": {"a", "a"}} {
		if got := slices.Collect(claimsOf(t, `{"scope":"`+scope+`"}`).Scopes()); !slices.Equal(got, want) {
			t.Errorf("%q: %q", scope, got)
		}
	}
}

// Claims are shared by requests; reading them from many goroutines is no race.
func TestClaimsConcurrently(t *testing.T) {
	t.Parallel()
	b := newBench(t, verify.Config{})
	token := keystest.AccessToken(keystest.ES256, b.claims)
	each(500, func(int) {
		claims, err := b.verifier.Verify(t.Context(), token)
		if err != nil || !claims.HasScope("orders:read", "orders:write") || claims.Audience()[0] != audience {
			t.Errorf("%v, %v", claims, err)
		}
		var mine struct {
			Scope string `json:"scope"`
		}
		if err := claims.Decode(&mine); err != nil || mine.Scope != claims.Scope() {
			t.Errorf("%v, %v", mine, err)
		}
	})
}
