package clients_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// sameClient compares clients by all that a record has: keys by their thumbprints, in order.
var sameClient = cmp.Options{
	cmpopts.EquateEmpty(),
	cmpopts.IgnoreUnexported(clients.Secret{}),
	cmp.Transformer("ids", func(set *keys.Set) (ids []string) {
		for key := range set.All() {
			ids = append(ids, key.ID())
		}
		return ids
	}),
}

func recordOf(t rapid.TB, what interface{ Record() ([]byte, error) }) string {
	t.Helper()
	text, err := what.Record()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A record is written in one way, which databases have: it may get more fields and never lose one.
func TestRecord(t *testing.T) {
	t.Parallel()
	pem := strings.ReplaceAll(string(publicPEM(t, keystest.ES256)), "\n", `\n`)
	rows := []struct {
		name string
		what interface{ Record() ([]byte, error) }
		want string
	}{
		{"client with keys", &clients.Client{
			ID: "billing", Name: `"B"`, Enabled: true, Keys: keystest.Set(keystest.ES256),
			Grants:  []clients.Grant{{Audience: "urn:a", Scopes: clients.Scope{"r", "w"}, Default: clients.Scope{"r"}}},
			Default: "urn:a",
		}, `{"id":"billing","name":"\"B\"","enabled":true,"keys":[{"pem":"` + pem + `"}],` +
			`"allow":[{"resource":"urn:a","scopes":["r","w"],"default_scopes":["r"]}],"default_resource":"urn:a"}`},
		{"client with secrets", &clients.Client{
			ID: "b", Secrets: []clients.Secret{
				{Digest: [32]byte{0xab}},
				{Digest: [32]byte{1}, Expires: noon.In(time.FixedZone("", 3600)).Add(time.Second)},
			},
			Grants: []clients.Grant{{Audience: "urn:a"}, {Audience: "urn:b"}},
		}, `{"id":"b","enabled":false,"secrets":[{"sha256":"ab` + strings.Repeat("0", 62) + `"},` +
			`{"sha256":"01` + strings.Repeat("0", 62) + `","expires":"2026-11-23T12:00:01Z"}],` +
			`"allow":[{"resource":"urn:a"},{"resource":"urn:b"}]}`},
		{"client with an address", &clients.Client{ID: "p", Enabled: true, JWKSURI: "https://p.example.com/a?b=c&d"},
			`{"id":"p","enabled":true,"jwks_uri":"https://p.example.com/a?b=c&d"}`},
		{"resource", &clients.Resource{
			Audience: "urn:a", Enabled: true, Scopes: clients.Scope{"r", "w"},
			Algorithm: keys.RS256, Type: keys.TypeJWT, Lifetime: 90 * time.Second,
		}, `{"audience":"urn:a","enabled":true,"scopes":["r","w"],` +
			`"algorithm":"RS256","token_type":"JWT","token_lifetime":"1m30s"}`},
		{"resource without scopes", &clients.Resource{
			Audience: "urn:a", Algorithm: keys.ES256, Type: keys.TypeAccessToken, Lifetime: time.Hour,
		}, `{"audience":"urn:a","enabled":false,"algorithm":"ES256","token_type":"at+jwt","token_lifetime":"1h0m0s"}`},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(row.want, recordOf(t, row.what)); diff != "" {
				t.Errorf("- want + got:\n%s", diff)
			}
		})
	}
}

// odd are texts that mean something else to YAML where they are not quoted.
var odd = []string{
	"null", "~", "true", "no", "0x10", "1e3", "&a", "*a", "!!str", "<<", "-", "?", ":", ",", "[", "]", "{}", "#x", "@x",
	"`x", "%YAML", "'", "|", ">",
}

func anyName(t *rapid.T) string {
	graphic := rapid.RuneFrom(nil, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Zs)
	name := rapid.OneOf(rapid.StringOfN(graphic, 0, 60, 256), rapid.SampledFrom(odd)).Draw(t, "name")
	return strings.ToValidUTF8(name, "?")
}

func anyScope(t *rapid.T) clients.Scope {
	value := rapid.OneOf(rapid.StringMatching(`[!#-\[\]-~]{1,20}`), rapid.SampledFrom(odd))
	return rapid.SliceOfNDistinct(value, 0, 5, rapid.ID[string]).Draw(t, "scope")
}

// some returns a part of a scope, in any order.
func some(t *rapid.T, scope clients.Scope) clients.Scope {
	if len(scope) == 0 {
		return nil
	}
	return rapid.Permutation(scope).Draw(t, "some")[:rapid.IntRange(0, len(scope)).Draw(t, "so many")]
}

var anyAudience = rapid.OneOf(
	rapid.StringMatching(`https://[a-z]{1,9}\.example(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~!$&'()*+,;=:@-]{0,20})?(\?[a-z]{0,5})?`),
	rapid.StringMatching(`urn:[a-z]{2,9}:[a-z0-9:]{1,20}`),
).Filter(func(text string) bool { return clients.CheckAudience(text) == nil })

func anyResource(t *rapid.T) *clients.Resource {
	return &clients.Resource{
		Audience:  anyAudience.Draw(t, "audience"),
		Enabled:   rapid.Bool().Draw(t, "enabled"),
		Scopes:    anyScope(t),
		Algorithm: rapid.SampledFrom(keys.Algorithms()).Draw(t, "algorithm"),
		Type:      rapid.SampledFrom([]keys.Type{keys.TypeAccessToken, keys.TypeJWT}).Draw(t, "type"),
		Lifetime:  time.Duration(rapid.IntRange(1, 3600).Draw(t, "lifetime")) * time.Second,
	}
}

// anyClient is a client of some of the resources, and those keys are of its own.
func anyClient(t *rapid.T, resources []*clients.Resource, pool []*keys.PublicKey) *clients.Client {
	c := &clients.Client{
		ID:      rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._~@/-]{0,127}`).Draw(t, "id"),
		Name:    anyName(t),
		Enabled: rapid.Bool().Draw(t, "enabled"),
	}
	switch rapid.SampledFrom([]string{"keys", "jwks_uri", "secrets"}).Draw(t, "credentials") {
	case "keys":
		n := rapid.IntRange(1, clients.MaxKeys).Draw(t, "so many")
		set, err := keys.NewSet(rapid.Permutation(pool).Draw(t, "keys")[:n]...)
		if err != nil {
			t.Fatal(err)
		}
		c.Keys = set
	case "jwks_uri":
		c.JWKSURI = rapid.StringMatching(`https://[a-z]{1,9}\.example/[!$&-;=?-Z_a-z~]{0,40}`).Draw(t, "jwks_uri")
	case "secrets":
		c.Secrets = []clients.Secret{anySecret(t)}
	}
	for range rapid.IntRange(0, clients.MaxSecrets-len(c.Secrets)).Draw(t, "secrets") {
		c.Secrets = append(c.Secrets, anySecret(t))
	}
	n := rapid.IntRange(1, len(resources)).Draw(t, "grants")
	for _, resource := range rapid.Permutation(resources).Draw(t, "resources")[:n] {
		scopes := some(t, resource.Scopes)
		c.Grants = append(c.Grants, clients.Grant{Audience: resource.Audience, Scopes: scopes, Default: some(t, scopes)})
	}
	if grant := rapid.IntRange(0, len(c.Grants)).Draw(t, "default"); grant < len(c.Grants) {
		c.Default = c.Grants[grant].Audience
	} else if len(c.Grants) == 1 { // which goes without saying
		c.Default = c.Grants[0].Audience
	}
	return c
}

func anySecret(t *rapid.T) (secret clients.Secret) {
	secret.Digest = sha256.Sum256([]byte(rapid.String().Draw(t, "secret")))
	if seconds := rapid.Int64Range(0, 1<<33).Draw(t, "expires"); seconds > 0 {
		secret.Expires = noon.Add(time.Duration(seconds) * time.Second).In(time.FixedZone("", int(seconds%86400)-43200))
	}
	return secret
}

// keyPool are as many keys as a client may have, of both algorithms.
func keyPool(t *testing.T) (pool []*keys.PublicKey) {
	t.Helper()
	for _, name := range []string{keystest.ES256, keystest.RS256, keystest.ES256Other, keystest.RS256Other} {
		pool = append(pool, keystest.Key(name).Public())
	}
	for len(pool) < clients.MaxKeys {
		key, err := keys.GenerateKey(keys.ES256)
		if err != nil {
			t.Fatal(err)
		}
		pool = append(pool, key.Public())
	}
	return pool
}

// Whatever a client or a resource has comes back from its record, which is the same each time.
func TestRecordRoundTrip(t *testing.T) {
	t.Parallel()
	pool := keyPool(t)
	rapid.Check(t, func(t *rapid.T) {
		resources := make(map[string]*clients.Resource)
		for range rapid.IntRange(1, 4).Draw(t, "resources") {
			resource := anyResource(t)
			resources[resource.Audience] = resource
			text := recordOf(t, resource)
			parsed, err := clients.ParseResource([]byte(text))
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if diff := cmp.Diff(resource, parsed, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("resource, - written + read:\n%s", diff)
			}
			if again := recordOf(t, parsed); again != text || recordOf(t, resource) != text {
				t.Fatalf("recorded again:\n%s\n%s", text, again)
			}
		}
		sorted := slices.Sorted(maps.Keys(resources))
		var all []*clients.Resource
		for _, audience := range sorted {
			all = append(all, resources[audience])
		}
		client := anyClient(t, all, pool)
		text := recordOf(t, client)
		checked, err := clients.CheckClient([]byte(text), resources, noon)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		parsed, err := clients.ParseClient([]byte(text), noon)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for _, read := range []*clients.Client{checked, parsed} {
			if diff := cmp.Diff(client, read, sameClient); diff != "" {
				t.Fatalf("client, - written + read:\n%s", diff)
			}
			if again := recordOf(t, read); again != text || recordOf(t, client) != text {
				t.Fatalf("recorded again:\n%s\n%s", text, again)
			}
		}
	})
}

// Each secret that has been read has a minute of its own in which its use is noted once.
func TestRecordedSecretIsNoted(t *testing.T) {
	t.Parallel()
	client, err := clients.ParseClient([]byte(recordOf(t, &clients.Client{
		ID: "b", Enabled: true, Secrets: []clients.Secret{secretOf("secret", time.Time{}), secretOf("other", time.Time{})},
		Grants: []clients.Grant{{Audience: "urn:a"}},
	})), noon)
	if err != nil {
		t.Fatal(err)
	}
	secret := client.MatchSecret("secret", noon)
	if secret == nil || !secret.Use(noon) || secret.Use(noon) || !client.MatchSecret("other", noon).Use(noon) {
		t.Error("uses are not noted once each")
	}
}

// Secrets that have expired are left out, but for one when there is no other, which is good for nothing: the client can be
// recorded again, to be disabled or to get a new one.
func TestRecordedSecretExpires(t *testing.T) {
	t.Parallel()
	old, new, newer := secretOf("old", noon), secretOf("new", noon.Add(time.Second)), secretOf("newer", time.Time{})
	rows := []struct {
		name    string
		secrets []clients.Secret
		now     time.Time
		kept    string // the secrets that are kept
		works   string // those of them that are good for something
	}{
		{"all live", []clients.Secret{new, newer}, noon, "new newer", "new newer"},
		{"a moment before", []clients.Secret{old}, noon.Add(-1), "old", "old"},
		{"one has expired", []clients.Secret{old, new}, noon, "new", "new"},
		{"three, of which two are live", []clients.Secret{old, new, newer}, noon, "new newer", "new newer"},
		{"two have expired", []clients.Secret{old, new, newer}, noon.Add(time.Hour), "newer", "newer"},
		{"the only one has expired", []clients.Secret{old}, noon, "old", ""},
		{"all have expired", []clients.Secret{old, new}, noon.Add(time.Hour), "new", ""},
		{"far more have expired than may live", slices.Repeat([]clients.Secret{old}, 100), noon, "old", ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			written := &clients.Client{ID: "b", Enabled: true, Secrets: row.secrets, Grants: []clients.Grant{{Audience: "urn:a"}}}
			client, err := clients.ParseClient([]byte(recordOf(t, written)), row.now)
			if err != nil {
				t.Fatal(err)
			}
			again, err := clients.CheckClient([]byte(recordOf(t, client)), map[string]*clients.Resource{"urn:a": {}}, row.now)
			if err != nil {
				t.Fatalf("recorded again: %v", err)
			}
			for _, client := range []*clients.Client{client, again} {
				var kept, works []string
				for _, text := range []string{"old", "new", "newer"} {
					digest := sha256.Sum256([]byte(text))
					if slices.ContainsFunc(client.Secrets, func(s clients.Secret) bool { return s.Digest == digest }) {
						kept = append(kept, text)
					}
					if client.MatchSecret(text, row.now) != nil {
						works = append(works, text)
					}
				}
				if strings.Join(kept, " ") != row.kept || strings.Join(works, " ") != row.works || len(client.Secrets) != len(kept) {
					t.Errorf("%d secrets, kept %q, of which work %q", len(client.Secrets), kept, works)
				}
			}
		})
	}
}

// oddMoments are those that something on the way may take for another, and whether a secret that expires then is live.
var oddMoments = map[string]bool{
	"0001-01-01T00:00:00Z":           false, // which is never to Go
	"0001-01-01T01:00:00+01:00":      false,
	"0001-01-01T00:00:01Z":           false,
	"0000-12-31T23:59:59Z":           false,
	"0000-01-01T00:00:00+01:00":      false, // in a year that nobody can write
	"9999-12-31T23:59:59-01:00":      true,
	"9999-12-31T23:59:59Z":           true,
	"2026-11-23T12:00:00.5Z":         true,
	"2026-11-23T12:00:00.000000001Z": true,
	"2026-11-23T11:59:59.999999999Z": false,
	"2026-11-23T13:00:00+01:00":      false,
	"2026-11-23T12:00:00-00:01":      true,
}

func expiring(moment string) string {
	return fmt.Sprintf(`{"id":"b","enabled":true,"secrets":[{"sha256":"%s","expires":"%s"}],"allow":[{"resource":"urn:a"}]}`,
		digestOf("secret"), moment)
}

// An odd moment is refused, or it is what it is, and the same when it is recorded again.
func TestOddMoments(t *testing.T) {
	t.Parallel()
	for moment, live := range oddMoments {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			client, err := clients.ParseClient([]byte(expiring(moment)), noon)
			if err != nil {
				if !errors.Is(err, clients.ErrRecord) {
					t.Error(err)
				}
				return
			}
			if got := client.MatchSecret("secret", noon) != nil; got && !live {
				t.Error("the secret is live")
			}
			record := recordOf(t, client)
			again, err := clients.ParseClient([]byte(record), noon)
			if err != nil {
				t.Fatalf("recorded as %s: %v", record, err)
			}
			if diff := cmp.Diff(client, again, sameClient); diff != "" {
				t.Errorf("recorded as %s:\n%s", record, diff)
			}
		})
	}
}
