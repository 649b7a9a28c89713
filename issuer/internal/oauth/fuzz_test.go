package oauth_test

import (
	"errors"
	"net/url"
	"testing"

	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/keys/keystest"
)

// check is what every answer must be: a token for who may have one, or an oauth.Error that quotes nothing.
func check(t *testing.T, f *fixture, r oauth.Request) granted {
	t.Helper()
	response, record, err := f.endpoint.Token(t.Context(), r)
	if err == nil {
		decode(t, f, granted{response, record})
		return granted{response, record}
	}
	var refused *oauth.Error
	if !errors.As(err, &refused) {
		t.Fatalf("error %v is no oauth.Error", err)
	}
	for _, c := range refused.Description {
		if c < 0x20 || c > 0x7E || c == '"' || c == '\\' {
			t.Errorf("description %q", refused.Description)
		}
	}
	return granted{}
}

// FuzzBasic: no header is a token's worth but those with the right secret.
func FuzzBasic(f *testing.F) {
	fix := newFixture(f)
	good := basic("secret", secret)[0]
	for _, seed := range []string{good, "", "Basic", "Basic ", "basic " + good[6:], "Basic OmE=", "Basic YTo=", "Basic JXp6OmE=",
		"Bearer x", basic("a%2Eb%2Fc%7Ed%40e", "p%2Bs%25%3A+%2F%3D%C3%A9")[0], basic("disabled", secret)[0]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		response := check(t, fix, oauth.Request{Authorization: []string{header}, Form: form()})
		switch response.Record.ClientID {
		case "", "secret", "a.b/c~d@e", "undecided":
		default:
			t.Errorf("a token for %q", response.Record.ClientID)
		}
	})
}

// FuzzForm: no body is a token's worth without a credential that the corpus does not have.
func FuzzForm(f *testing.F) {
	fix := newFixture(f)
	for _, seed := range []string{
		"", "grant_type=client_credentials", "grant_type=client_credentials&client_id=secret&client_secret=wrong",
		"grant_type=a&grant_type=b", "resource=https://api.example.com&resource=x", "scope=%22&client_id=secret&client_secret=wrong",
		"client_assertion_type=" + assertionType + "&client_assertion=a.b.c", "client_id=%ff", "client_assertion=&client_secret=",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		values, err := url.ParseQuery(body)
		if err != nil {
			return
		}
		if response := check(t, fix, oauth.Request{Form: values}); response.AccessToken != "" {
			t.Errorf("a token for %q", response.Record.ClientID)
		}
		// And with a good credential: what is granted stays within what the client may have.
		if !values.Has("client_id") {
			response := check(t, fix, oauth.Request{Authorization: basic("secret", secret), Form: values})
			switch response.Record.Audience {
			case "", api, legacy, plain:
			default:
				t.Errorf("a token for %q", response.Record.Audience)
			}
		}
	})
}

// FuzzAssertion: nobody but a holder of the client's key gets a token. Header and payload are the fuzzer's; the
// signature is genuine, but by a stranger's key, so that parsing gets as far as it can.
func FuzzAssertion(f *testing.F) {
	fix := newFixture(f)
	stranger := header("ES256", keystest.ES256Other) // claims to be signed by the client's key
	f.Add(stranger, `{"iss":"jwt","sub":"jwt","aud":"https://issuer.example.com","exp":1795515360,"iat":1795515300,"jti":"a"}`)
	f.Add(stranger, `{"iss":"jwt","sub":"jwt","aud":["https://issuer.example.com"],"exp":1e400}`)
	f.Add(`{"alg":"none"}`, `{}`)
	f.Add(`{"alg":"ES256","kid":""}`, `{"iss":"jwt","iss":"rsa"}`)
	f.Add(``, ``)
	f.Fuzz(func(t *testing.T, header, payload string) {
		assertion := keystest.Forge(keystest.ES256, header, payload)
		if response := check(t, fix, withAssertion(assertion)); response.AccessToken != "" {
			t.Errorf("a token for %q", response.Record.ClientID)
		}
	})
}
