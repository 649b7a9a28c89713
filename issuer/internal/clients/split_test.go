package clients_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/keys/keystest"
)

const splitResources = "resources:\n  - audience: https://a\n    scopes: [read]\n"

// item is a client as an item of a list, its fields indent spaces deep.
func item(id string, indent int) string {
	pad := strings.Repeat(" ", indent)
	return fmt.Sprintf("id: %s\n%ssecrets: [{sha256: %s}]\n%sallow: [{resource: 'https://a', scopes: [read]}]\n",
		id, pad, good, pad)
}

// splitRow is a registry, and whether it can be read in parts.
type splitRow struct {
	name, text string
	ok         bool
}

func splitRows() []splitRow {
	a, b := "  - "+item("a", 4), "  - "+item("b", 4)
	two := "clients:\n" + a + b
	withName := func(name string) string {
		return splitResources + "clients:\n" + a + "    name: " + name + b
	}
	return []splitRow{
		{"two clients", splitResources + two, true},
		{"resources below", two + splitResources, true},
		{"one client", splitResources + "clients:\n" + a, true},
		{"no final line break", strings.TrimSuffix(splitResources+two, "\n"), true},
		{"items at column 0", splitResources + "clients:\n- " + item("a", 2) + "- " + item("b", 2), true},
		{"items at column 0, resources below", "clients:\n- " + item("a", 2) + "- " + item("b", 2) + splitResources, true},
		{"items far in", splitResources + "clients:\n         - " + item("a", 11) + "         - " + item("b", 11), true},
		{"several spaces", splitResources + "clients:\n  -   " + item("a", 6) + "  -     " + item("b", 8), true},
		{"dash alone", splitResources + "clients:\n  -\n    " + item("a", 4) + "  -\n\n    # c\n   " + item("b", 3), true},
		{"clients in flow style", splitResources + "clients:\n  - {id: a,\n    secrets: [\n    {sha256: " + good +
			"}],\n    allow: [{resource: 'https://a'}]}\n" + b, true},
		{"comments and empty lines", "# - c\n" + splitResources + "# clients:\n\nclients: # - id: c\n\n# - c\n  # - c\n" +
			a + "\n# - c\n   \n  # - c\n      # - c\n" + b + "\n# c\n", true},
		{"comment below", splitResources + two + "# - c\n  # - c\n", true},
		{"start and end of the document", "---\n" + splitResources + two + "...\n", true},
		{"block scalar", withName("|-\n      - id: c\n     \n"), true},
		{"block scalar, folded", withName(">-\n      - id: c\n      # c\n"), true},
		{"block scalar, indentation given", withName(">2-\n        - id: c\n"), true},
		{"block scalar without text", withName("|\n\n"), true},
		{"quoted over lines", withName("'a\n      - id: c\n      '\n"), true},
		{"plain over lines", withName("a\n      - c\n"), true},
		{"no name", withName("x\n    ? name2\n"), false},
		{"not ASCII", withName("für €1 \U0001F511\n"), true},
		{"anchor", withName("&a x\n"), true},
		{"tag", withName("!!str 1\n"), true},
		{"expired secret", splitResources + two + "  - id: c\n    secrets: [{sha256: " + good +
			", expires: 2026-11-23T12:00:00Z}]\n    allow: [{resource: 'https://a'}]\n", true},
		{"JWK as JSON over lines", splitResources + two + withJWK("    "), true},
		{"JWK as JSON over lines, not far in", splitResources + two + withJWK(" "), false},

		{"quoted over lines, what looks like an item", withName("'a\n  - id: c\n  '\n"), false},
		{"quoted over lines, what looks like the end", withName("\"a\n clients:\n\"\n"), false},
		{"quote that the next batch closes", withName("'a\n") + "  - id: c # '\n", false},
		{"quote that the resources close", "clients:\n" + a + "    name: \"\n  - id: b # \"\nresources: [\"\"] # \"\n", false},
		{"bracket that the next batch closes", splitResources + "clients:\n  - [\n  - 1 ]\n", false},
		{"clients in a quoted scalar", "resources: '\nclients:\n  - id: a\n  '\n" + two, false},
		{"clients in a block scalar", "resources: |\n  clients:\n  - id: a\n" + two, false},
		{"clients in a quoted scalar, and others below", "x: '\nclients:\n- a\n'\nclients: [b]\n", false},
		{"clients at another depth", "more:\n  clients:\n    - id: a\n" + splitResources + two, false},
		{"clients as an item", "- resources\n- clients:\n  - id: a\n", false},
		{"clients twice", splitResources + two + two, false},
		{"clients twice, once quoted", splitResources + two + "'clients': []\n", false},
		{"key quoted", splitResources + strings.Replace(two, "clients", "'clients'", 1), false},
		{"key as a question", splitResources + strings.Replace(two, "clients:", "? clients\n:", 1), false},
		{"key with a space", splitResources + strings.Replace(two, "clients:", "clients :", 1), false},
		{"key further in", strings.ReplaceAll("\n"+splitResources+two, "\n", "\n "), false},
		{"root further in than clients", "  resources: []\n" + two, false},
		{"no list", splitResources + "clients:\n", false},
		{"list cut off", splitResources + "clients:", false},
		{"list in flow style", splitResources + "clients: [" + item("a", 1) + "]\n", false},
		{"a value that continues", splitResources + "clients: x\n" + a, false},
		{"what is no comment", splitResources + "clients:#\n" + a, false},
		{"anchor of the list", splitResources + strings.Replace(two, "clients:", "clients: &a", 1), false},
		{"tag of the list", splitResources + strings.Replace(two, "clients:", "clients:\n  !!null", 1), false},
		{"mapping", splitResources + "clients:\n  a:\n  - " + item("b", 4), false},
		{"item less far in", splitResources + two + " - " + item("c", 3), false},
		{"item further in", splitResources + two + "   - " + item("c", 5), false},
		{"list of lists", splitResources + "clients:\n  - - " + item("a", 6) + "  - - " + item("b", 6), false},
		{"field at the column of the items", splitResources + "clients:\n  - id: a\n  name: b\n" + b, false},
		{"dash without a space", splitResources + two + "  -id: c\n", false},
		{"alias", withName("&a x\n") + "    default_resource: *a\n", false},
		{"alias of another batch", strings.Replace(withName("x\n"), "id: a", "id: &a a", 1) + "    default_resource: *a\n", false},
		{"two documents", splitResources + two + "---\n" + splitResources, false},
		{"marker between the clients", splitResources + "clients:\n" + a + "---\n" + b, false},
		{"end between the clients", splitResources + "clients:\n" + a + "...\n" + b, false},
		{"marker between clients at column 0", splitResources + "clients:\n- " + item("a", 2) + "--- \n- " + item("b", 2), false},
		{"version", "%YAML 1.1\n---\n" + splitResources + two, false},
		{"tag directive", "# c\n%TAG ! tag:yaml.org,2002:\n---\n" + splitResources + withName("!null ''\n"), false},
		{"byte order mark", "\ufeff" + splitResources + two, false},
		{"byte order mark in the middle", withName("\ufeff\n"), false},
		{"CRLF", strings.ReplaceAll(splitResources+two, "\n", "\r\n"), false},
		{"CRLF once", withName("a\r\n"), false},
		{"CR", withName("a # c\r  - id: c\n"), false},
		{"next line of YAML 1.1", withName("'a\u0085    b'\n"), false},
		{"line separator", withName("'a\u2028    b'\n"), false},
		{"paragraph separator", withName("'a\u2029    b'\n"), false},
		{"tab", withName("a\t\n"), false},
		{"NUL", withName("a\x00\n"), false},
		{"not UTF-8", withName("a\xc2\n"), false},
		{"same id in two batches", splitResources + "clients:\n" + a + b + a, false},
		{"mistake", withName("[]\n"), false},
		{"mistake in the resources", "resources: [x]\n" + two, false},
		{"no resources", two, false},
		{"unknown field", "more: x\n" + splitResources + two, false},
	}
}

// withJWK is client c with a JWK each member of which has a line of its own.
func withJWK(pad string) string {
	document, err := keystest.Set(keystest.ES256).MarshalJSON()
	if err != nil {
		panic(err)
	}
	members := strings.ReplaceAll(strings.TrimSuffix(string(document), "]}"), ",", ",\n"+pad)
	jwk := strings.TrimPrefix(members, `{"keys":[`)
	return "  - id: c\n    keys: [{jwk: " + jwk + "}]\n    allow: [{resource: 'https://a'}]\n"
}

func TestParseParts(t *testing.T) {
	t.Parallel()
	for _, row := range splitRows() {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{1, 2, 1000} {
				ok := checkParts(t, []byte(row.text), size)
				if ok != row.ok && (size == 1 || !ok) { // in larger batches, what a cut goes through may be whole
					t.Errorf("in batches of %d: read in parts is %v", size, ok)
				}
			}
		})
	}
}

// checkParts reports whether text can be read in parts, and fails when that makes another registry than to read it
// whole.
func checkParts(t *testing.T, text []byte, size int) bool {
	t.Helper()
	dir := "nowhere"
	parts := clients.ParseParts(text, dir, noon, size)
	if parts == nil {
		return false
	}
	whole, problems := clients.ParseWhole(text, dir, noon)
	if len(problems) > 0 {
		t.Errorf("reading %q in parts passes over %v", text, problems)
	} else if !reflect.DeepEqual(parts, whole) {
		t.Errorf("reading %q in parts gives another registry than to read it whole", text)
	}
	return true
}

// What looks like the line of an item and is none is found by counting, when no cut goes through it.
func TestDecodePartsCountsItems(t *testing.T) {
	t.Parallel()
	const text = "clients:\n  - 'a\n  - b'\n  - c\n"
	if items, ok := clients.DecodeParts([]byte(text), 10); ok {
		t.Errorf("decoded in parts into %d items", len(items))
	}
}

// Line breaks in a block scalar stay what they are, though no name may have any.
func TestDecodePartsKeepsBlockScalars(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"|\n      - id: c\n     \n      # c\n", "|+\n      - id: c\n\n\n", ">\n      a\n\n      - c\n"} {
		text := splitResources + "clients:\n  - " + item("a", 4) + "    name: " + name + "  - " + item("b", 4)
		for _, size := range []int{1, 2} {
			if !checkNodes(t, []byte(text), size) {
				t.Errorf("%q in batches of %d is not decoded in parts", name, size)
			}
		}
	}
}

// FuzzParseParts: what is read in parts is what is read whole.
func FuzzParseParts(f *testing.F) {
	for _, row := range splitRows() {
		f.Add([]byte(row.text), byte(1))
		f.Add([]byte(row.text), byte(2))
	}
	for _, row := range mistakes() {
		f.Add([]byte(strings.ReplaceAll(strings.Replace(goodFile, row.old, row.new, 1), "DIGEST", good)), byte(1))
	}
	f.Fuzz(func(t *testing.T, text []byte, size byte) {
		checkParts(t, text, max(int(size), 1))
		checkNodes(t, text, max(int(size), 1))
	})
}

// checkNodes is checkParts on the YAML alone, whatever it means: mistakes do not hide what was cut wrongly.
func checkNodes(t *testing.T, text []byte, size int) bool {
	t.Helper()
	parts, ok := clients.DecodeParts(text, size)
	if !ok {
		return false
	}
	whole, ok := clients.DecodeWhole(text)
	if !ok {
		t.Errorf("decoding %q in parts passes over what is wrong with it", text)
	} else if !slices.EqualFunc(parts, whole, sameNode) {
		t.Errorf("decoding %q in parts gives other clients than to decode it whole", text)
	}
	return true
}

// sameNode compares what nodes say; lines and comments are of no interest.
func sameNode(x, y *yaml.Node) bool {
	return x.Kind == y.Kind && x.Tag == y.Tag && x.Value == y.Value && x.Anchor == y.Anchor && x.Style == y.Style &&
		slices.EqualFunc(x.Content, y.Content, sameNode)
}

// oddLines is what files are made of that mean something else cut up than whole, if cutting up is wrong.
var oddLines = []string{
	"", "  ", "# c", "  # c", "    # - c", "text", "  text", "    text", "      text", "é: ü", "\tt",
	"clients:", "clients: # c", "clients: []", "  clients:", "resources: []", "resources:", "x: y", " x: y", "  x: y",
	"---", "...", "%YAML 1.1", "--- |", "  ---", "  --- x", "  -- x",
	"- a", "-", "- ", "- id: a", "- - a", "- |", "- >+", "- 'q", "- \"q", "- {", "- [", "- ? a", "- # c",
	"- !!null", "- &a",
	"  - a", "  -", "  - ", "  - id: a", "  -   id: a", "  - - a", "  - |", "  - >-", "  - 'q", "  - \"q",
	"  - {", "  - [",
	"  - ? a", "  - # c", "  - !!null", "  - &a", "  - *a", "  -\tx", "   - a", " - a", "    - a", "      - a",
	"    f: g", "    f:", "    f: |", "    f: >", "    f: |2", "    f: |+", "    f: 'q", "    f: \"q",
	"    f: {", "    f: [",
	"    f: &a v", "    f: *a", "    f: !!null", "    f: !t", "    ? k", "    : v", "  ? k", "  : v", "? k", ": v",
	"'", "\"", "  q'", "  q\"", "    q'", "    q\"", "}", "]", "  }", "  ]", "    }", "    ]", "'clients': []",
	"x: |", "x: '",
	"x: \"", "x: [", "x: {", "x:", "\"\\", "    f: \"\\", "    'f': g # '", "  - a # \"", "  - a # '",
	"clients: |", "\ufeff",
}

// Files of odd lines at random, nearly all of which have a list of clients, at the top or below something odd.
func TestParsePartsOfOddLines(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	const files = 20_000
	accepted := 0
	for range files {
		lines := []string{"clients:"}
		if random.IntN(3) == 0 {
			lines = append([]string{oddLines[random.IntN(len(oddLines))]}, lines...)
		}
		for range 1 + random.IntN(8) {
			lines = append(lines, oddLines[random.IntN(len(oddLines))])
		}
		if checkNodes(t, []byte(strings.Join(lines, "\n")), 1+random.IntN(2)) {
			accepted++
		}
	}
	if accepted < files/100 {
		t.Errorf("of %d files only %d were decoded in parts", files, accepted)
	}
	t.Logf("%d of %d files decoded in parts", accepted, files)
}

// large is a registry that is long enough to be cut up, into three batches; its client-N begins at line 5+5×N.
func large() string {
	var text strings.Builder
	text.WriteString(splitResources + "clients:\n")
	comment := strings.Repeat("x", clients.SplitSize/1200)
	for n := range 1200 {
		fmt.Fprintf(&text, "  - id: client-%d\n    name: x # %s\n    secrets: [{sha256: %064x}]\n"+
			"    keys: [{file: keys/client.pub}]\n    allow: [{resource: 'https://a', scopes: [read]}]\n", n, comment, n)
	}
	return text.String()
}

func TestReadFileLarge(t *testing.T) {
	t.Parallel()
	text := large()
	path := write(t, text)
	registry, err := clients.ReadFile(path, noon)
	if err != nil {
		t.Fatal(err)
	}
	whole, problems := clients.ParseWhole([]byte(text), filepath.Dir(path), noon)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for i := range strings.Count(text, "- id:") {
		id := fmt.Sprintf("client-%d", i)
		if !reflect.DeepEqual(lookUp(t, registry, id), lookUp(t, whole, id)) {
			t.Fatalf("%s is another than in the file read whole", id)
		}
	}
	if clients.ParseParts([]byte(text), filepath.Dir(path), noon, 500) == nil {
		t.Error("it cannot be read in parts")
	}
	want := []string{path, filepath.Join(filepath.Dir(path), "keys", "client.pub")}
	if got := registry.Files(); !slices.Equal(got, want) {
		t.Errorf("Files() = %q, want %q", got, want)
	}
}

func TestReadFileLargeNamesMistakes(t *testing.T) {
	t.Parallel()
	rows := []struct{ name, old, new, want string }{
		{"bad id", "id: client-1000\n", "id: a b\n",
			`5005: "a b" is no client id: use 1 to 128 letters, digits and ._~@/- and start with a letter or digit`},
		{"same id far apart", "id: client-1000\n", "id: client-7\n", `5005: client "client-7" is there already, at line 40`},
		{"quote left open", "id: client-1000\n    name: ", "id: client-1000\n    name: '", `5009: not YAML, here or just below: mapping values are not allowed in this context`},
		{"tab", "id: client-1000\n", "id: client-1000\n\tname: x\n", "5005: not YAML, here or just below: found a tab character that violates indentation"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			checkProblems(t, strings.Replace(large(), row.old, row.new, 1), []string{row.want})
		})
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	path := write(t, strings.ReplaceAll(goodFile, "DIGEST", good))
	dir := filepath.Dir(path)
	client, jwk := filepath.Join(dir, "keys/client.pub"), filepath.Join(dir, "keys/client.jwk")
	rows := []struct {
		name, old, new string
		want           []string
	}{
		{"one key file", "", "", []string{path, client}},
		{"two, sorted", "      - file: keys/client.pub", "      - file: keys/client.pub\n      - file: " + jwk, []string{path, jwk, client}},
		{"none", "    keys:\n      - file: keys/client.pub\n", "", []string{path}},
		{"a missing one may come", "keys/client.pub", "keys/none.pub", []string{path, filepath.Join(dir, "keys/none.pub")}},
		{"one beside a mistake", "id: billing", "id: billing\n    colour: blue", []string{path, client}},
		{"not YAML", "resources:", "resources: '", []string{path}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			text := strings.ReplaceAll(strings.Replace(goodFile, row.old, row.new, 1), "DIGEST", good)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			registry, err := clients.ReadFile(path, noon)
			if got := filesOf(registry, err); !slices.Equal(got, row.want) {
				t.Errorf("files %q\n want %q", got, row.want)
			}
		})
	}
}

// filesOf returns the files that a registry was read from, or would have been.
func filesOf(registry *clients.Registry, err error) []string {
	var wrong *clients.FileError
	if errors.As(err, &wrong) {
		return wrong.Files
	}
	return registry.Files()
}
