package clients_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// A client that is disabled or gone, or whose secret is, gets no token once the file that says so is served.
func TestLiveAtTheEndpoint(t *testing.T) {
	t.Parallel()
	const resources = "resources:\n  - {audience: 'https://api.example.com', scopes: [read, write]}\nclients:\n"
	const other = "  - {id: other, secrets: [{sha256: SECRET}], allow: [{resource: 'https://api.example.com', " +
		"scopes: [read]}]}\n"
	const good = "  - {id: billing, secrets: [{sha256: SECRET}], allow: [{resource: 'https://api.example.com', " +
		"scopes: [read], default_scopes: [read]}]}\n"
	with := func(old, new string) string { return resources + strings.Replace(good, old, new, 1) }
	rows := []struct {
		name     string
		registry string
		want     oauth.Code // "": a token
	}{
		{"gone", resources + other, oauth.InvalidClient},
		{"disabled", with("id: billing", "id: billing, enabled: false"), oauth.InvalidClient},
		{"another secret", with("SECRET", digestOf("another")), oauth.InvalidClient},
		{"an expired secret", with("SECRET", "SECRET, expires: 2026-01-01T00:00:00Z"), oauth.InvalidClient},
		{"a key instead of the secret", with("secrets: [{sha256: SECRET}]", "keys: [{file: client.pub}]"),
			oauth.InvalidClient},
		{"another default scope that does not exist", with("default_scopes: [read]", "default_scopes: [all]"), ""},
		{"no default scope", with(", default_scopes: [read]", ""), oauth.InvalidScope},
		{"another resource", strings.ReplaceAll(resources+good, "api.example", "b.example"), ""},
		{"the resource disabled", strings.Replace(resources, "com', ", "com', enabled: false, ", 1) + good + other,
			oauth.InvalidTarget},
		{"a mistake", resources, ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			withSecret := func(text string) string { return strings.ReplaceAll(text, "SECRET", digestOf("secret")) }
			f := openLive(t, withSecret(resources+good+other), "client.pub", string(publicPEM(t, keystest.ES256)))
			ask := endpoint(t, f)
			if got := ask("billing"); got != "" {
				t.Fatalf("refused before anything is changed: %s", got)
			}
			f.replace(withSecret(row.registry))
			f.look(false)
			if got := ask("billing"); got != "" {
				t.Errorf("refused before the file stands still: %s", got)
			}
			f.look(false)
			if got := ask("billing"); got != row.want {
				t.Errorf("answer %q, want %q", got, row.want)
			}
			f.replace(withSecret(resources + good + other))
			f.look(true)
			if got := ask("billing"); got != "" {
				t.Errorf("refused although all is as before: %s", got)
			}
		})
	}
}

// endpoint is the token endpoint on that registry. What it returns asks for a token with the secret "secret" and
// returns the code of the refusal, "" when there is none.
func endpoint(t *testing.T, f *liveFile) func(id string) oauth.Code {
	t.Helper()
	ring, err := keys.NewRing(keys.RingKey{Key: keystest.Key(keystest.ES256), SignsFrom: f.clock.Now().Add(-time.Hour)})
	f.must(err)
	tokens, err := oauth.New(oauth.Config{
		Issuer: "https://issuer.example.com", Registry: func() oauth.Registry { return f.live.Registry() }, Keys: ring,
		Spent: nothingSpent{}, Now: f.clock.Now,
	})
	f.must(err)
	return func(id string) oauth.Code {
		_, _, err := tokens.Token(context.Background(), oauth.Request{
			Authorization: []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(id+":secret"))},
			Form:          url.Values{"grant_type": {"client_credentials"}},
		})
		var refused *oauth.Error
		if errors.As(err, &refused) {
			return refused.Code
		}
		f.must(err)
		return ""
	}
}

// nothingSpent is for clients that send no assertions.
type nothingSpent struct{}

func (nothingSpent) Spend(context.Context, string, string, time.Time) (bool, error) {
	return false, errors.New("an assertion without being sent one")
}

var _ oauth.Registry = (*clients.Registry)(nil)
