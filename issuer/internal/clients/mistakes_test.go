package clients_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/keys/keystest"
)

// theSecret stands where a digest should; no error may repeat it.
const theSecret = "hunter2-hunter2-hunter2"

var good = strings.Repeat("0", 64)

// The parts that rows are made of. Mistakes are replaced into them, so that a row is the mistake and its line.
const (
	goodFile = `resources:
  - audience: https://api.example.com
    scopes: [read, write]
  - audience: https://other.example.com
clients:
  - id: billing
    keys:
      - file: keys/client.pub
    secrets:
      - sha256: DIGEST
        expires: 2027-01-31T00:00:00Z
    allow:
      - resource: https://api.example.com
        scopes: [read]
        default_scopes: [read]
      - resource: https://other.example.com
    default_resource: https://api.example.com
`
	uriOld   = "    keys:\n      - file: keys/client.pub"
	kindOne  = "one value is needed here"
	kindList = "a list is needed here"
	kindMap  = "a mapping of fields is needed here"
	badName  = "name is at most 256 octets of characters that can be seen"
)

// mistake is a row: in goodFile, old is replaced by new, and then the problems are want, as "line: text".
type mistake struct {
	name     string
	old, new string
	want     []string
}

func mistakes() []mistake {
	return []mistake{
		{"unknown field at the top", "clients:", "version: 2\nclients:", []string{`5: unknown field "version"`}},
		{"unknown field of a resource", "    scopes: [read, write]", "    scopes: [read, write]\n    scope: x", []string{`4: unknown field "scope"`}},
		{"unknown field of a client", "    secrets:", "    secret: x\n    secrets:", []string{`9: unknown field "secret"`}},
		{"unknown field of a key", "keys/client.pub", "keys/client.pub\n        kid: a", []string{`9: unknown field "kid"`}},
		{"unknown field of a secret", "        expires", "        expiry", []string{`11: unknown field "expiry"`}},
		{"unknown field of an allow", "        default_scopes", "        defaults", []string{`15: unknown field "defaults"`}},
		{"unknown field with a space", "    secrets:", "    a secret: x\n    secrets:", []string{`9: unknown field "a secret"`}},
		{"field names are exact", "  - id:", "  - ID:", []string{`6: unknown field "ID"`, `6: a client without id`}},
		{"alias for the name of a field", "  - id: billing", "  - id: &name billing\n    *name : x", []string{"7: aliases are not read: write the value out"}},
		{"list for the name of a field", "  - id: billing", "  - id: billing\n    ? [name]\n    : x", []string{"7: the name of a field is needed here"}},
		{"merge key", "  - id: billing", "  - <<: {name: x}\n    id: billing", []string{`6: unknown field "<<"`}},

		{"same field twice", "    default_resource", "    name: a\n    name: b\n    default_resource", []string{`18: field "name" is there already, at line 17`}},
		{"same list twice", "clients:", "resources: []\nclients:", []string{`5: field "resources" is there already, at line 1`}},
		{"same id twice", "clients:\n", "clients:\n  - id: billing\n    secrets: [{sha256: DIGEST}]\n    allow: [{resource: 'https://other.example.com'}]\n", []string{`9: client "billing" is there already, at line 6`}},
		{"same audience twice", "https://other.example.com\nclients", "https://api.example.com\nclients", []string{`4: resource "https://api.example.com" is there already, at line 2`, `16: no resource has the audience "https://other.example.com"`}},
		{"same resource allowed twice", "      - resource: https://other", "      - resource: https://api", []string{`16: client "billing" is allowed "https://api.example.com" twice`}},
		{"same key twice", "      - file: keys/client.pub", "      - file: keys/client.pub\n      - file: keys/client.pub", []string{`9: client "billing" has a key "` + keystest.Key(keystest.ES256).ID() + `" already`}},

		{"resource without audience", "  - audience: https://other.example.com", "  - scopes: [x]", []string{"4: a resource without audience", `16: no resource has the audience "https://other.example.com"`}},
		{"client without id", "  - id: billing", "  - name: billing", []string{"6: a client without id"}},
		{"bad id", "id: billing", "id: bill ing", []string{`6: "bill ing" is no client id: use 1 to 128 letters, digits and ._~@/- and start with a letter or digit`}},
		{"empty id", "id: billing", "id: ''", []string{`6: "" is no client id: use 1 to 128 letters, digits and ._~@/- and start with a letter or digit`}},
		{"bad audience", "https://other.example.com\nclients", "other\nclients", []string{`4: "other" is no audience: an absolute URI without fragment is needed`, `16: no resource has the audience "https://other.example.com"`}},
		{"enabled neither true nor false", "  - id: billing", "  - enabled: maybe\n    id: billing", []string{"6: enabled is true or false"}},
		{"enabled without value", "  - id: billing", "  - enabled:\n    id: billing", []string{"6: " + kindOne}},
		{"resource neither enabled nor disabled", "    scopes: [read, write]", "    enabled: no\n    scopes: [read, write]", []string{"3: enabled is true or false"}},
		{"resource enabled without value", "    scopes: [read, write]", "    enabled:\n    scopes: [read, write]", []string{"3: " + kindOne}},
		{"resource enabled in capitals", "    scopes: [read, write]", "    enabled: True\n    scopes: [read, write]", []string{"3: enabled is true or false"}},
		{"name of 257 octets", "  - id: billing", "  - name: " + strings.Repeat("x", 257) + "\n    id: billing", []string{"6: " + badName}},
		{"name of 129 characters of two octets", "  - id: billing", "  - name: " + strings.Repeat("ü", 129) + "\n    id: billing", []string{"6: " + badName}},
		{"name with a line break", "  - id: billing", "  - name: \"a\\nb\"\n    id: billing", []string{"6: " + badName}},
		{"name with a line break at its end", "  - id: billing", "  - name: |\n      Billing\n    id: billing", []string{"6: " + badName}},
		{"name with a tab", "  - id: billing", "  - name: \"a\\tb\"\n    id: billing", []string{"6: " + badName}},
		{"name that colours a terminal", "  - id: billing", "  - name: \"\\e[31mred\"\n    id: billing", []string{"6: " + badName}},
		{"name with a control of ISO 6429 in one octet", "  - id: billing", "  - name: \"\\x9b31mred\"\n    id: billing", []string{"6: " + badName}},
		{"name with a NUL", "  - id: billing", "  - name: \"a\\0\"\n    id: billing", []string{"6: " + badName}},
		{"name written from right to left", "  - id: billing", "  - name: \"a\\u202Eb\"\n    id: billing", []string{"6: " + badName}},
		{"name with a character of no width", "  - id: billing", "  - name: \"a\\u200Bb\"\n    id: billing", []string{"6: " + badName}},
		{"name with a line separator", "  - id: billing", "  - name: \"a\\u2028b\"\n    id: billing", []string{"6: " + badName}},
		{"malformed scope", "scopes: [read, write]", "scopes: [read, write, a b]", []string{"3: scope values are printable ASCII without space, quote and backslash, one space between them"}},
		{"empty scope", "scopes: [read, write]", "scopes: [read, write, ~]", []string{"3: " + kindOne}},
		{"scope that no resource has", "        scopes: [read]", "        scopes: [read, fly]", []string{`14: resource https://api.example.com has no scope "fly"`}},
		{"default scope that is not allowed", "default_scopes: [read]", "default_scopes: [write]", []string{`15: client billing may not ask for its default scope "write"`}},
		{"unknown resource", "      - resource: https://other", "      - resource: https://third", []string{`16: no resource has the audience "https://third.example.com"`}},
		{"allow without resource", "      - resource: https://other.example.com", "      - scopes: []", []string{`16: client "billing" has an allow without resource`}},
		{"default resource not allowed", "default_resource: https://api", "default_resource: https://third", []string{`17: client "billing" may not ask for its default resource "https://third.example.com"`}},
		{"wrong algorithm", "    scopes: [read, write]", "    algorithm: HS256", []string{`3: algorithm not allowed: "HS256" is not one of [ES256 RS256]`, `14: resource https://api.example.com has no scope "read"`}},
		{"algorithm none", "clients:", "    algorithm: none\nclients:", []string{`5: algorithm not allowed: "none" is not one of [ES256 RS256]`}},
		{"wrong token type", "clients:", "    token_type: jwt\nclients:", []string{"5: a token type is at+jwt or JWT"}},
		{"lifetime 0", "clients:", "    token_lifetime: 0s\nclients:", []string{"5: 0s is no token lifetime: whole seconds from 1s to 1h0m0s are"}},
		{"lifetime 2h", "clients:", "    token_lifetime: 2h\nclients:", []string{"5: 2h0m0s is no token lifetime: whole seconds from 1s to 1h0m0s are"}},
		{"lifetime 1.5s", "clients:", "    token_lifetime: 1.5s\nclients:", []string{"5: 1.5s is no token lifetime: whole seconds from 1s to 1h0m0s are"}},
		{"lifetime negative", "clients:", "    token_lifetime: -5m\nclients:", []string{"5: -5m0s is no token lifetime: whole seconds from 1s to 1h0m0s are"}},
		{"lifetime without unit", "clients:", "    token_lifetime: 600\nclients:", []string{`5: time: missing unit in duration "600"`}},

		{"secret in the clear", "DIGEST", theSecret, []string{"10: not a SHA-256 in 64 hexadecimal digits"}},
		{"secret without digest", "      - sha256: DIGEST\n        expires", "      - expires", []string{`10: a secret of client "billing" has no sha256`}},
		{"bad date", "2027-01-31T00:00:00Z", "2027-01-31", []string{"11: expires is a moment like 2027-01-31T00:00:00Z"}},
		{"day that does not exist", "2027-01-31T00:00:00Z", "2027-02-31T00:00:00Z", []string{"11: expires is a moment like 2027-01-31T00:00:00Z"}},
		{"expires without value", "expires: 2027-01-31T00:00:00Z", "expires:", []string{"11: " + kindOne}},
		{"three secrets", "    allow:\n", "      - sha256: DIGEST\n      - sha256: DIGEST\n    allow:\n", []string{`6: client "billing" has 3 live secrets, at most 2 may be`}},
		{"three secrets, one until a second from now", "    allow:\n", "      - {sha256: DIGEST, expires: 2026-11-23T12:00:01Z}\n      - sha256: DIGEST\n    allow:\n", []string{`6: client "billing" has 3 live secrets, at most 2 may be`}},
		{"an expired secret in the clear", "DIGEST\n        expires: 2027", theSecret + "\n        expires: 2020", []string{"10: not a SHA-256 in 64 hexadecimal digits"}},
		{"an expired secret without digest", "      - sha256: DIGEST\n        expires: 2027", "      - expires: 2020", []string{`10: a secret of client "billing" has no sha256`}},
		{"eleven keys", "      - file: keys/client.pub", strings.TrimSuffix(strings.Repeat("      - file: keys/client.pub\n", 11), "\n"), []string{`18: client "billing" has 11 keys, at most 10 are kept`}},

		{"keys and jwks_uri", "    secrets:", "    jwks_uri: https://client.example.com/jwks\n    secrets:", []string{`9: client "billing" has keys and jwks_uri: give it one of them`}},
		{"jwks_uri and keys", "    keys:", "    jwks_uri: https://client.example.com/jwks\n    keys:", []string{`7: client "billing" has keys and jwks_uri: give it one of them`}},
		{"jwks_uri and keys that are wrong", "    keys:\n      - file: keys/client.pub", "    jwks_uri: https://client.example.com/jwks\n    keys:\n      - {}", []string{`7: client "billing" has keys and jwks_uri: give it one of them`, `9: a key of client "billing" needs one of pem, jwk and file`}},
		{"jwks_uri by http", uriOld, "    jwks_uri: http://client.example.com/jwks", []string{`7: URL not allowed: "http://client.example.com/jwks" is neither https nor loopback`}},
		{"jwks_uri to a private address by http", uriOld, "    jwks_uri: http://169.254.169.254/jwks", []string{`7: URL not allowed: "http://169.254.169.254/jwks" is neither https nor loopback`}},
		{"jwks_uri to a file", uriOld, "    jwks_uri: file:///etc/passwd", []string{`7: URL not allowed: "file:///etc/passwd" is not absolute`}},
		{"jwks_uri with a password", uriOld, "    jwks_uri: https://me:" + theSecret + "@client.example.com/jwks", []string{"7: URL not allowed: it has a user or fragment"}},
		{"jwks_uri with a fragment", uriOld, "    jwks_uri: https://client.example.com/jwks#a", []string{"7: URL not allowed: it has a user or fragment"}},
		{"jwks_uri empty", uriOld, "    jwks_uri: ''", []string{`7: URL not allowed: "" is not absolute`}},
		{"jwks_uri without value", uriOld, "    jwks_uri:", []string{"7: " + kindOne}},
		{"two jwks_uri", uriOld, "    jwks_uri: [https://client.example.com/a, https://client.example.com/b]", []string{"7: " + kindOne}},
		{"no credentials", "    keys:\n      - file: keys/client.pub\n    secrets:\n      - sha256: DIGEST\n        expires: 2027-01-31T00:00:00Z\n", "", []string{`6: client "billing" has no credentials: give it keys, jwks_uri or secrets`}},
		{"empty credentials", "    keys:\n      - file: keys/client.pub\n    secrets:\n      - sha256: DIGEST\n        expires: 2027-01-31T00:00:00Z\n", "    keys: []\n    secrets: []\n", []string{`6: client "billing" has no credentials: give it keys, jwks_uri or secrets`}},

		{"list where one value is needed", "id: billing", "id: [billing]", []string{"6: " + kindOne}},
		{"mapping where one value is needed", "file: keys/client.pub", "file: {a: b}", []string{"8: " + kindOne}},
		{"one value where a list is needed", "scopes: [read, write]", "scopes: read write", []string{"3: " + kindList, `14: resource https://api.example.com has no scope "read"`}},
		{"mapping where a list is needed", "resources:\n", "resources: {}\nothers:\n", []string{"0: no resources", "1: " + kindList, `2: unknown field "others"`, `14: no resource has the audience "https://api.example.com"`, `17: no resource has the audience "https://other.example.com"`, `18: client "billing" may not ask for its default resource "https://api.example.com"`}},
		{"one value where a mapping is needed", "      - file: keys/client.pub", "      - keys/client.pub", []string{"8: " + kindMap}},
		{"secret where a mapping is needed", "      - sha256: DIGEST\n        expires: 2027-01-31T00:00:00Z", "      - " + theSecret, []string{"10: " + kindMap}},
		{"value with a line break where a list is needed", "        scopes: [read]\n", "        scopes: \"a\\nb\"\n", []string{"14: " + kindList, `15: client billing may not ask for its default scope "read"`}},
		{"nothing where a mapping is needed", "  - audience: https://other.example.com", "  -\n  - scopes: [x]\n  - audience: https://other.example.com", []string{"4: " + kindMap, "5: a resource without audience"}},
		{"nothing where a list is needed", "    secrets:", "    keys_:\n    secrets:", []string{`9: unknown field "keys_"`}},
	}
}

func TestReadFileNamesMistakes(t *testing.T) {
	t.Parallel()
	for _, row := range mistakes() {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(goodFile, row.old) {
				t.Fatalf("the good file does not have %q", row.old)
			}
			checkProblems(t, strings.Replace(goodFile, row.old, row.new, 1), row.want)
		})
	}
}

// checkProblems reads text as a registry and compares what is wrong with it.
func checkProblems(t *testing.T, text string, want []string) {
	t.Helper()
	path := write(t, strings.ReplaceAll(text, "DIGEST", good))
	registry, err := clients.ReadFile(path, noon)
	if registry != nil {
		t.Error("a registry in spite of mistakes")
	}
	var wrong *clients.FileError
	if !errors.As(err, &wrong) {
		t.Fatalf("error %v is no FileError", err)
	}
	var got []string
	for _, p := range wrong.Problems {
		got = append(got, fmt.Sprintf("%d: %s", p.Line, p.Text))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(err.Error(), "reading registry "+path+": ") {
		t.Errorf("error %q does not name the file", err)
	}
	checkQuiet(t, err.Error())
}

func TestGoodFileIsGood(t *testing.T) {
	t.Parallel()
	if _, err := clients.ReadFile(write(t, strings.ReplaceAll(goodFile, "DIGEST", good)), noon); err != nil {
		t.Error(err)
	}
}

func TestReadFileShapes(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, text string
		want       []string
	}{
		{"empty", "", []string{"0: the file is empty"}},
		{"comments alone", "# nothing\n", []string{"0: the file is empty"}},
		{"alias", "resources: &all []\nclients: *all\n", []string{"0: no resources", "0: no clients", "2: aliases are not read: write the value out"}},
		{"empty document", "--- ~\n", []string{"0: no resources", "0: no clients", "1: " + kindMap}},
		{"one value", "hello\n", []string{"0: no resources", "0: no clients", "1: " + kindMap}},
		{"empty lists", "resources: []\nclients: []\n", []string{"0: no resources", "0: no clients"}},
		{"two documents", goodFile + "---\n" + goodFile, []string{"0: more than one YAML document"}},
		{"syntax", "resources:\n  - audience: 'https://a\n", []string{"2: not YAML, here or just below: found unexpected end of stream"}},
		{"tab", "resources:\n\t- audience: https://a\n", []string{"2: not YAML, here or just below: found character that cannot start any token"}},
		{"unknown anchor", "resources: *none\n", []string{"0: not YAML, here or just below: unknown anchor 'none' referenced"}},
		{"not UTF-8", "resources: \xff\n", []string{"0: not YAML, here or just below: invalid leading UTF-8 octet"}},
		{"binary", "\x00\x01\x02", []string{"0: not YAML, here or just below: control characters are not allowed"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			checkProblems(t, row.text, row.want)
		})
	}
}

// Every level holds nine times the one before: followed, it would be 9^9 values.
func TestReadFileAnchorBomb(t *testing.T) {
	t.Parallel()
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 9; i++ {
		fmt.Fprintf(&bomb, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), ","))
	}
	bomb.WriteString("resources: *a8\nclients: *a8\n")
	start := time.Now()
	_, err := clients.ReadFile(write(t, bomb.String()), time.Now())
	if err == nil || !strings.Contains(err.Error(), "line 10: aliases are not read") {
		t.Errorf("error %v", err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %v", took)
	}
}

func TestReadFileReportsAllInOrder(t *testing.T) {
	t.Parallel()
	path := write(t, `clients:
  - id: one
    allow: [{resource: 'https://none.example.com'}]
  - id: one
resources:
  - audience: https://api.example.com
    token_lifetime: 3h
    colour: blue
`)
	_, err := clients.ReadFile(path, time.Now())
	want := "reading registry " + path + `: 5 mistakes:
  line 2: client "one" has no credentials: give it keys, jwks_uri or secrets
  line 3: no resource has the audience "https://none.example.com"
  line 4: client "one" is there already, at line 2
  line 7: 3h0m0s is no token lifetime: whole seconds from 1s to 1h0m0s are
  line 8: unknown field "colour"`
	if err == nil || err.Error() != want {
		t.Errorf("error:\n%v\nwant:\n%s", err, want)
	}
}
