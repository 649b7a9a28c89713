package verify_test

import (
	"fmt"
	"strings"
	"testing"

	"example.com/signet/resource/verify"
	"example.com/signet/resource/verify/verifytest"
)

// A verifier remembers live tokens. Whoever prints it, by mistake or with the wrong verb, sees none of them, and nothing
// of claims but which token of which client it is.
func TestFormatShowsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, verify.Config{})
	token := b.with("secret", `"a claim that nobody prints"`)
	claims, err := b.verifier.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	holder := struct {
		Verifier *verify.Verifier
		Claims   verify.Claims
	}{b.verifier, claims}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%t", "%x", "%X", "%p", "%c", "%e", "%!"} {
		for _, value := range []any{b.verifier, claims, &claims, holder, &holder, []any{b.verifier, claims}} {
			text := strings.ReplaceAll(fmt.Sprintf(verb, value), claims.String(), "")
			if leak := verifytest.Leak(text, token); leak != "" || strings.Contains(text, "nobody prints") {
				t.Errorf("%s of %T shows %q: %s", verb, value, leak, text)
			}
		}
	}
	if got, want := fmt.Sprint(b.verifier), "verify.Verifier"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := fmt.Sprint(claims), `token "0uzpxe1xRkmWLK4qCFBXXQ" of client "billing"`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
