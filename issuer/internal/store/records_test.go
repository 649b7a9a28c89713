package store_test

import (
	"crypto/sha256"
	"testing"
	"time"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

const (
	orders   = "https://orders.example.com"
	invoices = "https://invoices.example.com"
)

func newResource(audience string, scopes ...string) *clients.Resource {
	return &clients.Resource{
		Audience: audience, Enabled: true, Scopes: scopes,
		Algorithm: clients.DefaultAlgorithm, Type: clients.DefaultType, Lifetime: clients.DefaultLifetime,
	}
}

// newClient returns a client that may ask the resource for the scopes.
func newClient(id, audience string, scopes ...string) *clients.Client {
	return &clients.Client{
		ID: id, Enabled: true,
		Secrets: []clients.Secret{{Digest: sha256.Sum256([]byte(id))}},
		Grants:  []clients.Grant{{Audience: audience, Scopes: scopes}},
		Default: audience,
	}
}

// richResource has no field as it is by default.
func richResource() *clients.Resource {
	return &clients.Resource{
		Audience: orders + "/v2?a=%27b%27&c", Enabled: false, Scopes: clients.Scope{"orders:read", "orders:write", "'--;{}[]~"},
		Algorithm: keys.RS256, Type: keys.TypeJWT, Lifetime: time.Hour,
	}
}

// richClients have, together, every field of a client, and none as it is by default.
func richClients(now time.Time) []*clients.Client {
	grants := []clients.Grant{
		{Audience: orders, Scopes: clients.Scope{"read", "write"}, Default: clients.Scope{"read"}},
		{Audience: invoices},
	}
	return []*clients.Client{
		{
			ID: "0.a_b~c@d/e-f", Name: `Ünï "quoted" 'single' \ {brace} [list] # : & * 日本語`, Enabled: false,
			Keys: keystest.Set(keystest.ES256, keystest.RS256Other),
			Secrets: []clients.Secret{
				{Digest: sha256.Sum256([]byte("a"))}, {Digest: sha256.Sum256([]byte("b")), Expires: now.Add(time.Hour)},
			},
			Grants: grants, Default: invoices,
		},
		{ID: "publisher", Enabled: true, JWKSURI: "https://client.example.com/jwks?a=b", Grants: grants},
		{ID: "NULL", Name: "null", Enabled: true, Keys: keystest.Set(keystest.RS256), Grants: grants[:1], Default: orders},
	}
}

// recorded is a client or a resource.
type recorded interface{ Record() ([]byte, error) }

// recordOf is all that is kept of it.
func recordOf(t testing.TB, what recorded) string {
	t.Helper()
	text, err := what.Record()
	must(t, err)
	return string(text)
}

func recordsOf[T recorded](t testing.TB, all []T) (records []string) {
	t.Helper()
	for _, one := range all {
		records = append(records, recordOf(t, one))
	}
	return records
}
