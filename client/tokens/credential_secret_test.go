package tokens_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"testing"

	"example.com/signet/client/tokens"
)

// The id and the secret are form-encoded before they are put together with a colon (RFC 6749 §2.3.1).
func TestSecretBasic(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, id, secret string
		want             string // before base64
	}{
		{"plain", "billing", "SECRET", "billing:SECRET"},
		{"colon in the id", "a:b", "SECRET", "a%3Ab:SECRET"},
		{"colons in the secret", "billing", ":a:b:", "billing:%3Aa%3Ab%3A"},
		{"space", "my client", "a b", "my+client:a+b"},
		{"plus and percent", "a+b%", "%2B+%", "a%2Bb%25:%252B%2B%25"},
		{"what forms are made of", "a=b&c=d", "&client_id=x", "a%3Db%26c%3Dd:%26client_id%3Dx"},
		{"all the rest", "x", "!\"#$'()*,-./;<>?@[\\]^_`{|}~",
			"x:%21%22%23%24%27%28%29%2A%2C-.%2F%3B%3C%3E%3F%40%5B%5C%5D%5E_%60%7B%7C%7D~"},
		{"a URL as id", "https://billing.example.com/", "s", "https%3A%2F%2Fbilling.example.com%2F:s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			cfg := config(t, i)
			cfg.ClientID, cfg.Credential = test.id, tokens.Secret(test.secret)
			wantToken(t, newSource(t, cfg), "token-1")
			r := one(t, i)
			if got, want := r.header.Get("Authorization"), "Basic "+base64.StdEncoding.EncodeToString([]byte(test.want)); got != want {
				t.Errorf("Authorization %q, want %q", got, want)
			}
			sent := http.Request{Header: r.header}
			user, password, _ := sent.BasicAuth()
			id, errID := url.QueryUnescape(user)
			secret, errSecret := url.QueryUnescape(password)
			if id != test.id || secret != test.secret || errID != nil || errSecret != nil {
				t.Errorf("an issuer reads %q and %q, errors %v and %v", id, secret, errID, errSecret)
			}
			if r.form.Has("client_id") || len(r.form) != 1 {
				t.Errorf("form %v", r.form)
			}
		})
	}
}

// Basic is what every issuer that gives secrets has (RFC 6749 §2.3.1); the form is for those that say they have no other.
func TestSecretMethod(t *testing.T) {
	t.Parallel()
	const basic, post = "client_secret_basic", "client_secret_post"
	for _, test := range []struct {
		name    string
		methods any
		post    bool
	}{
		{"not said", nil, false},
		{"none", []string{}, false},
		{"basic", []string{basic}, false},
		{"both", []string{post, basic}, false},
		{"neither", []string{"private_key_jwt"}, false},
		{"in capitals", []string{"CLIENT_SECRET_POST"}, false},
		{"post", []string{post}, true},
		{"post and something else", []string{"private_key_jwt", post}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			document := map[string]any{"issuer": i.URL, "token_endpoint": i.URL + "/oauth2/token"}
			if test.methods != nil {
				document["token_endpoint_auth_methods_supported"] = test.methods
			}
			i.AnswerMetadata(answerJSON(http.StatusOK, document))
			cfg := config(t, i)
			cfg.ClientID, cfg.Credential = "my client", tokens.Secret("a&b")
			wantToken(t, newSource(t, cfg), "token-1")
			r := one(t, i)
			if !test.post {
				if len(r.form) != 1 || r.header.Get("Authorization") == "" {
					t.Errorf("form %v, Authorization %q", r.form, r.header.Get("Authorization"))
				}
				return
			}
			if r.form.Get("client_id") != "my client" || r.form.Get("client_secret") != "a&b" || len(r.form) != 3 {
				t.Errorf("form %v", r.form)
			}
		})
	}
}

// Without metadata nobody says that there is another way than Basic.
func TestSecretWithExplicitEndpoint(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	cfg := config(t, i)
	cfg.TokenEndpoint, cfg.Credential = i.URL+"/oauth2/token", tokens.Secret("SECRET")
	wantToken(t, newSource(t, cfg), "token-1")
	if r := one(t, i); r.header.Get("Authorization") == "" || len(r.form) != 1 {
		t.Errorf("form %v", r.form)
	}
}
