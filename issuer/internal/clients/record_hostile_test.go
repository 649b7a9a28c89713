package clients_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/keys/keystest"
)

const (
	zeros      = "0000000000000000000000000000000000000000000000000000000000000000"
	goodClient = `{"id":"billing","name":"B","enabled":true,` +
		`"secrets":[{"sha256":"` + zeros + `","expires":"2027-01-31T00:00:00Z"}],` +
		`"allow":[{"resource":"urn:a","scopes":["read","write"],"default_scopes":["read"]},{"resource":"urn:b"}],` +
		`"default_resource":"urn:b"}`
	goodResource = `{"audience":"urn:a","enabled":true,"scopes":["read","write"],` +
		`"algorithm":"RS256","token_type":"JWT","token_lifetime":"1m0s"}`
)

// hostile is a record, or what replaces a part of a good one.
type hostile struct{ name, old, new string }

// notJSON are texts that are no record of anything.
var notJSON = []hostile{
	{"nothing", "", ""},
	{"white space", "", " \r\n\t"},
	{"null", "", "null"},
	{"text", "", `"billing"`},
	{"number", "", "1"},
	{"list", "", "[]"},
	{"list of nothing", "", "[null]"},
	{"empty", "", "{}"},
	{"open", "", `{"id":"billing"`},
	{"YAML", "", "id: billing\nenabled: true"},
	{"YAML without quotes", "", "{id: billing}"},
	{"YAML with tabs and comments", "", "# x\n{\"id\":\t\"billing\"}"},
	{"comment within", "", "{\"id\":\"billing\" # x\n}"},
	{"single quotes", "", `{'id':'billing'}`},
	{"trailing comma", "", `{"id":"billing",}`},
	{"anchor and alias", "", `{"id":&a "billing","name":*a}`},
	{"tag", "", `{"id":!!str "billing"}`},
	{"merge key without quotes", "", `{<<: {"id":"billing"}}`},
	{"the end of the list, and another", "", `{"id":"billing"}], "clients": [{"id":"billing"}`},
	{"the end of the file, and another", "", "{\"id\":\"billing\"}]}\n---\n{\"clients\":[{}"},
	{"NUL before", "", "\x00{}"},
	{"byte order mark", "", "\ufeff{}"},
	{"UTF-16", "", "{\x00}\x00"},
	{"not UTF-8", "", "\xff"},
	{"NaN", "", `{"id":NaN}`},
}

// spoil are changes of any good record that make it none.
func spoil(id string) []hostile {
	return []hostile{
		{"name without quotes", `"enabled":true`, `enabled: true`},
		{"single quotes", `"enabled":true`, `'enabled':true`},
		{"tag", `"enabled":true`, `"enabled":!!bool true`},
		{"anchor", `"enabled":true`, `"enabled":&a true`},
		{"comment", `"enabled":true,`, "\"enabled\":true, # x\n"},
		{"comma too many", `"enabled":true`, `"enabled":true,`},
		{"question mark", `"enabled":true`, `? "enabled" : true`},
		{"two records", "}", "},{"},
		{"a second value", `{"` + id, `{} {"` + id},
		{"unknown member", `"enabled":true`, `"enabled":true,"admin":true`},
		{"unknown member without a name", `"enabled":true`, `"enabled":true,"":1`},
		{"member in another case", `"enabled"`, `"Enabled"`},
		{"merge key", `"enabled":true`, `"<<":{"enabled":true}`},
		{"member twice", `"enabled":true`, `"enabled":true,"enabled":true`},
		{"member twice, spelled otherwise", `"enabled":true`, `"enabled":true,"\u0065nabled":true`},
		{"no id", `"` + id + `"`, `"x"`},
		{"id of another type", `"` + id + `":"`, `"` + id + `":{"a":"`},
		{"enabled is a word", `"enabled":true`, `"enabled":"yes"`},
		{"enabled is in capitals", `"enabled":true`, `"enabled":"True"`},
		{"enabled is a number", `"enabled":true`, `"enabled":1`},
		{"enabled is null", `"enabled":true`, `"enabled":null`},
		{"enabled is empty", `"enabled":true`, `"enabled":""`},
		{"enabled is a list", `"enabled":true`, `"enabled":[true]`},
		{"scopes are a value", `"scopes":["read","write"]`, `"scopes":"read write"`},
		{"scopes are null", `"scopes":["read","write"]`, `"scopes":null`},
		{"scopes are a mapping", `"scopes":["read","write"]`, `"scopes":{"read":"write"}`},
		{"a scope is null", `"scopes":["read"`, `"scopes":[null`},
		{"a scope is a list", `"scopes":["read"`, `"scopes":["read",["admin"]`},
		{"a scope is two", `"scopes":["read"`, `"scopes":["read admin"`},
		{"a scope is empty", `"scopes":["read"`, `"scopes":["read",""`},
		{"a scope has a quote", `"scopes":["read"`, `"scopes":["read","\""`},
		{"a scope has NUL", `"scopes":["read"`, `"scopes":["read","a\u0000"`},
		{"a scope has a line break", `"scopes":["read"`, `"scopes":["read","a\nb"`},
		{"a scope has another line break", `"scopes":["read"`, "\"scopes\":[\"read\",\"a\u2028b\""},
		{"a scope has a letter of another script", `"scopes":["read"`, `"scopes":["reаd"`},
		{"not UTF-8", `"read"`, "\"read\xff\""},
		{"half a character", `"read"`, `"read\ud800"`},
		{"NUL, as it is", `"read"`, "\"read\x00\""},
		{"line break, as it is", `"read"`, "\"read\n\""},
		{"escape that JSON does not have", `"read"`, `"read\x41"`},
		{"escape of YAML", `"read"`, `"read\_"`},
	}
}

var spoiledClients = []hostile{
	{"id is empty", `"billing"`, `""`},
	{"id is null", `"billing"`, `null`},
	{"id with a colon", `"billing"`, `"a:b"`},
	{"id with a line break", `"billing"`, `"a\nb"`},
	{"id with another line break", `"billing"`, "\"a\u2028b\""},
	{"id with NUL", `"billing"`, `"a\u0000"`},
	{"id of 129 octets", `"billing"`, `"` + strings.Repeat("a", 129) + `"`},
	{"name of 257 octets", `"B"`, `"` + strings.Repeat("a", 257) + `"`},
	{"name with an escape sequence", `"B"`, `"\u001b[2J"`},
	{"name that is written backwards", `"B"`, `"\u202eB"`},
	{"name is a list", `"B"`, `["B"]`},
	{"keys are a mapping", `"secrets"`, `"keys":{},"secrets"`},
	{"a key is text", `"secrets"`, `"keys":["` + theSecret + `"],"secrets"`},
	{"a key is nothing", `"secrets"`, `"keys":[{}],"secrets"`},
	{"a key is null", `"secrets"`, `"keys":[null],"secrets"`},
	{"a key is empty", `"secrets"`, `"keys":[{"pem":""}],"secrets"`},
	{"a key is none", `"secrets"`,
		`"keys":[{"pem":"-----BEGIN PUBLIC KEY-----\n` + theSecret + `\n-----END PUBLIC KEY-----\n"}],"secrets"`},
	{"a key is symmetric", `"secrets"`,
		`"keys":[{"jwk":{"kty":"oct","k":"` + theSecret + `","kid":"a"}}],"secrets"`},
	{"a key has its other half", `"secrets"`,
		`"keys":[{"pem":"` + strings.ReplaceAll(string(keystest.PEM(keystest.ES256)), "\n", `\n`) + `"}],"secrets"`},
	{"a key is of two kinds", `"secrets"`, `"keys":[{"pem":"x","jwk":"y"}],"secrets"`},
	{"keys and an address", `"secrets"`, `"keys":[{"pem":"x"}],"jwks_uri":"https://a.example.com","secrets"`},
	{"address without TLS", `"secrets"`, `"jwks_uri":"http://a.example.com","secrets"`},
	{"address of a file", `"secrets"`, `"jwks_uri":"file:///etc/passwd","secrets"`},
	{"address with a password", `"secrets"`, `"jwks_uri":"https://a:` + theSecret + `@a.example.com","secrets"`},
	{"address is empty", `"secrets"`, `"jwks_uri":"","secrets"`},
	{"secret in clear", `{"sha256":"` + zeros + `"`, `{"sha256":"` + theSecret + `"`},
	{"secret of 63 digits", `"sha256":"0`, `"sha256":"`},
	{"secret with a blank", `"sha256":"0`, `"sha256":" `},
	{"secret without digest", `"sha256":"` + zeros + `",`, ``},
	{"secret is text", `"secrets":[`, `"secrets":["` + theSecret + `",`},
	{"secrets are a mapping", `"secrets":[`, `"secrets":{},"x":[`},
	{"three secrets", `"secrets":[`, `"secrets":[{"sha256":"` + good + `"},{"sha256":"` + good + `"},`},
	{"expires never", `"2027-01-31T00:00:00Z"`, `"never"`},
	{"expires on a day", `"2027-01-31T00:00:00Z"`, `"2027-01-31"`},
	{"expires is empty", `"2027-01-31T00:00:00Z"`, `""`},
	{"expires is a number", `"2027-01-31T00:00:00Z"`, `1801353600`},
	{"expires is null", `"2027-01-31T00:00:00Z"`, `null`},
	{"expires in the year 10000", `"2027-01-31T00:00:00Z"`, `"10000-01-31T00:00:00Z"`},
	{"expires on a day that is none", `"2027-01-31T00:00:00Z"`, `"2027-02-30T00:00:00Z"`},
	{"no credentials", `"secrets"`, `"x"`},
	{"no secrets", goodClient, `{"id":"a","secrets":[],"allow":[{"resource":"urn:a"}]}`},
	{"no grants", goodClient, `{"id":"a","secrets":[{"sha256":"` + good + `"}]}`},
	{"empty grants", goodClient, `{"id":"a","secrets":[{"sha256":"` + good + `"}],"allow":[]}`},
	{"a grant is text", `{"resource":"urn:b"}`, `"urn:b"`},
	{"a grant of nothing", `{"resource":"urn:b"}`, `{}`},
	{"a grant twice", `{"resource":"urn:b"}`, `{"resource":"urn:b"},{"resource":"urn:b"}`},
	{"default scope that it may not ask for", `"default_scopes":["read"]`, `"default_scopes":["admin"]`},
	{"default resource that it may not ask for", `"default_resource":"urn:b"`, `"default_resource":"urn:c"`},
	{"default resource is a list", `"default_resource":"urn:b"`, `"default_resource":["urn:b"]`},
}

var spoiledResources = []hostile{
	{"audience is empty", `"urn:a"`, `""`},
	{"audience is null", `"urn:a"`, `null`},
	{"audience is a word", `"urn:a"`, `"a"`},
	{"audience with a fragment", `"urn:a"`, `"urn:a#"`},
	{"audience with a blank", `"urn:a"`, `"urn:a b"`},
	{"audience with a line break", `"urn:a"`, "\"urn:a\u2028b\""},
	{"audience with NUL", `"urn:a"`, `"urn:a\u0000"`},
	{"algorithm none", `"RS256"`, `"none"`},
	{"algorithm HS256", `"RS256"`, `"HS256"`},
	{"algorithm in small letters", `"RS256"`, `"rs256"`},
	{"algorithm is empty", `"RS256"`, `""`},
	{"algorithm is null", `"RS256"`, `null`},
	{"algorithms", `"RS256"`, `["RS256","none"]`},
	{"type in small letters", `"JWT"`, `"jwt"`},
	{"type is empty", `"JWT"`, `""`},
	{"type with a line break", `"JWT"`, `"JWT\n"`},
	{"lifetime of an hour and a second", `"1m0s"`, `"1h0m1s"`},
	{"lifetime of nothing", `"1m0s"`, `"0s"`},
	{"lifetime of less", `"1m0s"`, `"-1m"`},
	{"lifetime of half a second", `"1m0s"`, `"500ms"`},
	{"lifetime without a unit", `"1m0s"`, `60`},
	{"lifetime without an end", `"1m0s"`, `"Inf"`},
	{"lifetime beyond all numbers", `"1m0s"`, `"9999999999h"`},
	{"lifetime is empty", `"1m0s"`, `""`},
}

// apply returns the record that the row makes of a good one.
func (h hostile) apply(good string) string {
	if h.old == "" {
		return h.new
	}
	return strings.Replace(good, h.old, h.new, 1)
}

func clientRefused(t *testing.T, text string) {
	t.Helper()
	resources := map[string]*clients.Resource{"urn:a": {Scopes: clients.Scope{"read", "write"}}, "urn:b": {}}
	client, err := clients.ParseClient([]byte(text), noon)
	refused(t, text, client == nil, err)
	client, err = clients.CheckClient([]byte(text), resources, noon)
	refused(t, text, client == nil, err)
}

func resourceRefused(t *testing.T, text string) {
	t.Helper()
	resource, err := clients.ParseResource([]byte(text))
	refused(t, text, resource == nil, err)
}

func refused(t *testing.T, text string, nothing bool, err error) {
	t.Helper()
	if !nothing || !errors.Is(err, clients.ErrRecord) {
		t.Errorf("%.200q: something is read of it: %v, error %v", text, !nothing, err)
		return
	}
	checkQuiet(t, err.Error())
}

// Whatever somebody may make of a record is refused as a whole, and the error has nothing that must not be seen.
func TestHostileRecords(t *testing.T) {
	t.Parallel()
	each := func(kind, good string, refused func(*testing.T, string), rows []hostile) {
		for _, row := range rows {
			t.Run(kind+"/"+row.name, func(t *testing.T) {
				t.Parallel()
				text := row.apply(good)
				if text == good {
					t.Error("the row changes nothing")
				}
				refused(t, text)
			})
		}
	}
	each("client", goodClient, clientRefused, slices.Concat(notJSON, spoil("id"), spoiledClients))
	each("resource", goodResource, resourceRefused, slices.Concat(notJSON, spoil("audience"), spoiledResources))
	for _, end := range []string{"x", ",", "{}", "]", "}", "\x00", "#"} {
		clientRefused(t, goodClient+end)
		resourceRefused(t, goodResource+end)
	}
	clientRefused(t, goodResource)
	resourceRefused(t, goodClient)
}

// The records that the rows make something of are good.
func TestGoodRecords(t *testing.T) {
	t.Parallel()
	client, err := clients.ParseClient([]byte(goodClient), noon)
	if err != nil || recordOf(t, client) != goodClient {
		t.Errorf("%v, %v", client, err)
	}
	resource, err := clients.ParseResource([]byte(goodResource))
	if err != nil || recordOf(t, resource) != goodResource {
		t.Errorf("%v, %v", resource, err)
	}
}

// A record names no file of the machine that reads it: it says the same on each.
func TestRecordNamesNoFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "client.pub")
	if err := os.WriteFile(path, publicPEM(t, keystest.ES256), 0o600); err != nil {
		t.Fatal(err)
	}
	clientRefused(t, fmt.Sprintf(`{"id":"a","keys":[{"file":%q}],"allow":[{"resource":"urn:a"}]}`, path))
}

// A record that is far too long, or too deep, is refused, whatever it is made of.
func TestHugeRecords(t *testing.T) {
	t.Parallel()
	const n = 10 << 20
	rows := []struct{ name, text string }{
		{"a name", strings.Replace(goodClient, `"B"`, `"`+strings.Repeat("B", n)+`"`, 1)},
		{"a name of escapes", strings.Replace(goodClient, `"B"`, `"`+strings.Repeat(`\u0042`, n/6)+`"`, 1)},
		{"a scope that is none", strings.Replace(goodClient, `"read"`, `"`+strings.Repeat("ä", n/2)+`"`, 1)},
		{"open lists", strings.Repeat("[", n)},
		{"lists in lists", strings.Repeat("[", n/2) + strings.Repeat("]", n/2)},
		{"mappings in mappings", strings.Repeat(`{"a":`, n/6) + "1" + strings.Repeat("}", n/6)},
		{"lists in lists, as many as JSON may have", strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)},
		{"lists in lists, in a member", `{"id":` + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000) + "}"},
		{"backslashes", `"` + strings.Repeat(`\\`, n/2)},
		{"digits", strings.Repeat("1", n)},
		{"garbage", strings.Repeat("\x00", n)},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			client, err := clients.ParseClient([]byte(row.text), noon)
			refused(t, row.text, client == nil, err)
			resourceRefused(t, row.text)
		})
	}
}

// What a client may ask for has to be there when it is written, and is not asked for when it is read: one whose resource is
// away is known, and gets nothing.
func TestCheckClient(t *testing.T) {
	t.Parallel()
	a := &clients.Resource{Audience: "urn:a", Scopes: clients.Scope{"read", "write"}}
	b := &clients.Resource{Audience: "urn:b"} // and disabled
	rows := []struct {
		name      string
		resources []*clients.Resource
		want      string // "" when it is good
	}{
		{"all there", []*clients.Resource{a, b}, ""},
		{"more there", []*clients.Resource{a, b, {Audience: "urn:c"}}, ""},
		{"no resource", nil, `no resource has the audience "urn:a"; no resource has the audience "urn:b"; ` +
			`client "billing" may not ask for its default resource "urn:b"`},
		{"one resource", []*clients.Resource{b}, `no resource has the audience "urn:a"`},
		{"without a scope", []*clients.Resource{{Audience: "urn:a", Scopes: clients.Scope{"read"}}, b},
			`resource urn:a has no scope "write"`},
		{"without scopes", []*clients.Resource{{Audience: "urn:a"}, b},
			`resource urn:a has no scope "read"; resource urn:a has no scope "write"`},
		{"scopes in another case", []*clients.Resource{{Audience: "urn:a", Scopes: clients.Scope{"Read", "WRITE"}}, b},
			`resource urn:a has no scope "read"; resource urn:a has no scope "write"`},
		{"audience in another case", []*clients.Resource{{Audience: "urn:A", Scopes: a.Scopes}, b},
			`no resource has the audience "urn:a"`},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			client, err := clients.CheckClient([]byte(goodClient), resourcesOf(row.resources...).ByAudience(), noon)
			if row.want == "" {
				if err != nil || recordOf(t, client) != goodClient {
					t.Errorf("%v, %v", client, err)
				}
			} else if client != nil || !errors.Is(err, clients.ErrRecord) || err.Error() != "unusable record: "+row.want {
				t.Errorf("%v, error %v", client, err)
			}
			client, err = clients.ParseClient([]byte(goodClient), noon)
			if err != nil || recordOf(t, client) != goodClient {
				t.Errorf("read: %v, %v", client, err)
			}
		})
	}
}

// FuzzRecord: reading never panics, and gives an error of its own or something that keeps the rules and, recorded again, is
// read as the same.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(goodClient))
	f.Add([]byte(goodResource))
	for _, row := range slices.Concat(notJSON, spoil("id"), spoiledClients) {
		f.Add([]byte(row.apply(goodClient)))
	}
	for _, row := range spoiledResources {
		f.Add([]byte(row.apply(goodResource)))
	}
	f.Add([]byte(fmt.Sprintf(`{"id":"a","keys":[{"jwk":%s},{"pem":%q}],"allow":[{"resource":"urn:a"}]}`,
		publicJWK(f, keystest.RS256), publicPEM(f, keystest.ES256))))
	for _, moment := range slices.Sorted(maps.Keys(oddMoments)) {
		f.Add([]byte(expiring(moment)))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		fuzzClient(t, text)
		fuzzResource(t, text)
	})
}

func fuzzClient(t *testing.T, text []byte) {
	client, err := clients.ParseClient(text, noon)
	if err != nil {
		if client != nil || !errors.Is(err, clients.ErrRecord) {
			t.Errorf("client %+v, error %v", client, err)
		}
		return
	}
	if clients.CheckID(client.ID) != nil || len(client.Secrets) > clients.MaxSecrets || client.Keys.Len() > clients.MaxKeys ||
		len(client.Grants) == 0 || len(client.Secrets) == 0 && client.Keys.Len() == 0 && client.JWKSURI == "" {
		t.Errorf("client %+v", client)
	}
	record := recordOf(t, client)
	again, err := clients.ParseClient([]byte(record), noon)
	if err != nil {
		t.Fatalf("recorded as %s: %v", record, err)
	}
	if diff := cmp.Diff(client, again, sameClient); diff != "" || recordOf(t, again) != record {
		t.Errorf("recorded as %s:\n%s", record, diff)
	}
}

func fuzzResource(t *testing.T, text []byte) {
	resource, err := clients.ParseResource(text)
	if err != nil {
		if resource != nil || !errors.Is(err, clients.ErrRecord) {
			t.Errorf("resource %+v, error %v", resource, err)
		}
		return
	}
	record := recordOf(t, resource)
	again, err := clients.ParseResource([]byte(record))
	if err != nil {
		t.Fatalf("recorded as %s: %v", record, err)
	}
	if diff := cmp.Diff(resource, again, cmpopts.EquateEmpty()); diff != "" || recordOf(t, again) != record {
		t.Errorf("recorded as %s:\n%s", record, diff)
	}
}
