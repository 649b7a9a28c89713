package keys_test

import (
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// testPayload is a payload like those that Signet signs. Most tests do not look into it.
const testPayload = `{"iss":"https://issuer.example.com","sub":"billing","jti":"0uzpxe1xRkmWLK4qCFBXXQ"}`

// sentinels are all the errors that the package promises, to show that an error wraps the right one and no other.
var sentinels = []error{
	keys.ErrMalformed, keys.ErrAlgorithm, keys.ErrUnknownKey, keys.ErrSignature,
	keys.ErrKey, keys.ErrLooseMode, keys.ErrNoKeys, keys.ErrDamaged, keys.ErrNotSet, keys.ErrInactive,
}

// wantError checks that err wraps want, wraps no other sentinel, and that its text contains text.
func wantError(t *testing.T, err, want error, text string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", want)
	}
	for _, sentinel := range sentinels {
		if is := errors.Is(err, sentinel); is != (sentinel == want) {
			t.Errorf("errors.Is(%q, %q) = %v", err, sentinel, is)
		}
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("error %q does not say %q", err, text)
	}
}

// hintOf returns what err says to do next, or "".
func hintOf(err error) string {
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return hinted.Hint()
	}
	return ""
}

// header spells a header as Signet does, for the named key.
func header(alg, name string) string {
	return `{"alg":"` + alg + `","kid":"` + keystest.Key(name).ID() + `","typ":"at+jwt"}`
}

// withMember adds a member to the end of a JSON object.
func withMember(object, member string) string {
	return strings.TrimSuffix(object, "}") + "," + member + "}"
}

// jwkOf returns the named key's JWK as ParseSet reads it, for tests that change a member.
func jwkOf(t testing.TB, name string) map[string]any {
	t.Helper()
	document, err := keystest.Set(name).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Keys []map[string]any }
	if err := json.Unmarshal(document, &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Keys[0]
}

// jwkWith is the named key's JWK with members replaced; nil takes a member away.
func jwkWith(t testing.TB, name string, members map[string]any) string {
	t.Helper()
	jwk := jwkOf(t, name)
	for member, value := range members {
		if jwk[member] = value; value == nil {
			delete(jwk, member)
		}
	}
	text, err := json.Marshal(jwk)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// fixed is n as an octet string of the given size (SEC 1 §2.3.7).
func fixed(n *big.Int, size int) []byte { return n.FillBytes(make([]byte, size)) }

// strayBits sets the unused last bits of a base64url text that has some: a lax decoder reads the same octets from it.
func strayBits(text string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	if len(text)%4 < 2 {
		panic("no unused bits in " + text)
	}
	last := strings.IndexByte(alphabet, text[len(text)-1])
	return text[:len(text)-1] + alphabet[last|1:last|1+1]
}
