package oauth_test

import (
	"testing"
	"time"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/keys/keystest"
)

// BenchmarkRefuse: an unknown client and a wrong secret must take the same time (I20). A test on time would fail by
// chance, so the two numbers stand here side by side.
func BenchmarkRefuse(b *testing.B) {
	f := newFixture(b)
	rows := []struct{ name, id string }{
		{"unknown-client", "nobody"},
		{"wrong-secret", "undecided"}, // one live secret, as most clients have
	}
	for _, row := range rows {
		b.Run(row.name, func(b *testing.B) {
			r := oauth.Request{Authorization: basic(row.id, "wrong"), Form: form()}
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := f.endpoint.Token(b.Context(), r); err == nil {
					b.Fatal("granted")
				}
			}
		})
	}
}

// BenchmarkSecret is the check of a secret by itself, which may take half a microsecond.
func BenchmarkSecret(b *testing.B) {
	f := newFixture(b)
	client := must(f.registry.Client(b.Context(), "undecided"))
	rows := []struct {
		name   string
		client *clients.Client
		secret string
	}{
		{"unknown-client", nil, "wrong"},
		{"wrong-secret", client, "wrong"},
		{"right-secret", client, secret},
	}
	for _, row := range rows {
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				row.client.MatchSecret(row.secret, f.clock.Now())
			}
		})
	}
}

// BenchmarkToken is the whole endpoint but HTTP, for each way of authenticating.
func BenchmarkToken(b *testing.B) {
	f := newFixture(b, func(c *oauth.Config) {
		c.Spent = spentFunc(func(string, string, time.Time) (bool, error) { return true, nil })
	})
	rows := []struct {
		name    string
		request oauth.Request
	}{
		{"secret-ES256", withSecret()},
		{"secret-RS256", withSecret("resource", legacy, "scope", "use")},
		{"assertion-ES256", withAssertion(f.assertion(b, nil))},
		{"assertion-RS256", withAssertion(keystest.Forge(keystest.RS256Other, header("RS256", keystest.RS256Other),
			f.payload(b, claims{"iss": "rsa", "sub": "rsa"})))},
	}
	for _, row := range rows {
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.grant(b, row.request)
			}
		})
	}
}
