package layout_test

import (
	"os"
	"slices"
	"testing"
	"testing/fstest"

	"example.com/signet/scripts/layout"
)

func TestRepository(t *testing.T) {
	violations, err := layout.Check(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, violation := range violations {
		t.Error(violation)
	}
}

const (
	ours = "example.com/signet/"
	jwx  = "github.com/lestrrat-go/jwx/v2/"
)

// importing is the text of a file with these imports.
func importing(paths ...string) string {
	text := "package p\n"
	for _, path := range paths {
		text += "import _ \"" + path + "\"\n"
	}
	return text
}

// declaring is the text of a file of package keys that imports jwk.
func declaring(declaration string) string {
	return "package keys\nimport \"" + jwx + "jwk\"\n" + declaration + "\n"
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name, file, text string
		want             string // "" when the file breaks no rule
	}{
		{"keys imports nothing of ours", "keys/x.go", importing(ours + "client/tokens"),
			"keys/x.go imports example.com/signet/client/tokens: keys may import nothing of ours"},
		{"resource/verify imports the issuer", "resource/verify/x.go", importing(ours + "issuer"),
			"resource/verify/x.go imports example.com/signet/issuer: resource/verify may import keys, keys/remote"},
		{"bearer passes verify by", "resource/bearer/x.go", importing(ours + "keys"),
			"resource/bearer/x.go imports example.com/signet/keys: resource/bearer may import resource/verify"},
		{"store imports server", "issuer/internal/store/x.go", importing(ours + "issuer/internal/server"),
			"issuer/internal/store/x.go imports example.com/signet/issuer/internal/server: " +
				"issuer/internal/store may import issuer/internal/clients, issuer/internal/masterkey, keys"},
		{"config imports keys", "issuer/internal/config/x.go", importing(ours + "keys"),
			"issuer/internal/config/x.go imports example.com/signet/keys: issuer/internal/config may import nothing of ours"},
		{"client imports the resource server", "client/e2e_test.go", importing(ours + "resource/verify"),
			"client/e2e_test.go imports example.com/signet/resource/verify: client may import client/internal/*, client/tokens, keys, keys/remote"},
		{"a test imports another wing's kit", "client/x_test.go", importing(ours + "resource/verify/verifytest"),
			"client/x_test.go imports example.com/signet/resource/verify/verifytest: " +
				"client may import client/internal/*, client/tokens, keys, keys/remote"},
		{"a test imports more than its room may", "keys/x_test.go", importing(ours + "keys/remote"),
			"keys/x_test.go imports example.com/signet/keys/remote: keys may import nothing of ours"},
		{"a name that begins like a room", "resource/verify/x.go", importing(ours + "keys2"),
			"resource/verify/x.go imports example.com/signet/keys2: resource/verify may import keys, keys/remote"},
		{"the module's own root", "keys/x.go", importing("example.com/signet"),
			"keys/x.go imports example.com/signet: keys may import nothing of ours"},

		{"scripts imported", "issuer/x.go", importing(ours + "scripts/layout"),
			"issuer/x.go imports example.com/signet/scripts/layout: nothing imports scripts"},
		{"scripts imported by a test", "keys/x_test.go", importing(ours + "scripts"),
			"keys/x_test.go imports example.com/signet/scripts: nothing imports scripts"},
		{"scripts imported by scripts", "scripts/x.go", importing(ours + "scripts/layout"),
			"scripts/x.go imports example.com/signet/scripts/layout: nothing imports scripts"},

		{"a kit in a program", "issuer/main.go", importing(ours + "keys/keystest"),
			"issuer/main.go imports example.com/signet/keys/keystest: only tests and test kits may"},
		{"PostgreSQL's kit in a program", "issuer/main.go", importing(ours + "keys/keystest/pgtest"),
			"issuer/main.go imports example.com/signet/keys/keystest/pgtest: only tests and test kits may"},
		{"a kit in a script", "scripts/demo/main.go", importing(ours + "keys/keystest"),
			"scripts/demo/main.go imports example.com/signet/keys/keystest: only tests and test kits may"},

		{"jwx in a program", "issuer/main.go", importing(jwx + "jwt"),
			"issuer/main.go imports github.com/lestrrat-go/jwx/v2/jwt: only keys may"},
		{"jwx in a test", "resource/verify/x_test.go", importing(jwx + "jwk"),
			"resource/verify/x_test.go imports github.com/lestrrat-go/jwx/v2/jwk: only keys may"},
		{"jwx in the kit", "keys/keystest/x.go", importing(jwx + "jwk"),
			"keys/keystest/x.go imports github.com/lestrrat-go/jwx/v2/jwk: only keys may"},
		{"another major version of jwx", "client/x.go", importing("github.com/lestrrat-go/jwx/v3/jwt"),
			"client/x.go imports github.com/lestrrat-go/jwx/v3/jwt: only keys may"},

		{"unknown room", "issuer/internal/extra/x.go", importing(),
			"issuer/internal/extra/x.go: unknown room issuer/internal/extra"},
		{"unknown kit", "resource/resourcetest/x.go", importing(),
			"resource/resourcetest/x.go: unknown room resource/resourcetest"},
		{"file in the first folder", "main.go", importing(), "main.go: not one of the top-level names"},
		{"folder in the first folder", "docs/index.md", "", "docs: not one of the top-level names"},

		{"jwx type in a result", "keys/x.go", declaring("func F() (k jwk.Key, err error) { return nil, nil }"),
			"keys/x.go: exported F mentions jwk.Key: no jwx type in an exported name"},
		{"jwx type in a method", "keys/x.go", declaring("func (t *T) M(...jwk.Set) {}"),
			"keys/x.go: exported M mentions jwk.Set: no jwx type in an exported name"},
		{"jwx type in a field", "keys/x.go", declaring("type T struct { a int; K map[string]jwk.Key }"),
			"keys/x.go: exported T mentions jwk.Key: no jwx type in an exported name"},
		{"jwx type embedded", "keys/x.go", declaring("type T struct { jwk.Key }"),
			"keys/x.go: exported T mentions jwk.Key: no jwx type in an exported name"},
		{"jwx type by alias", "keys/x.go", declaring("type T = jwk.Key"),
			"keys/x.go: exported T mentions jwk.Key: no jwx type in an exported name"},
		{"jwx type as a constraint", "keys/x.go", declaring("type T[K jwk.Key] struct{}"),
			"keys/x.go: exported T mentions jwk.Key: no jwx type in an exported name"},
		{"jwx type in a variable", "keys/x.go", declaring("var V jwk.Set"),
			"keys/x.go: exported V mentions jwk.Set: no jwx type in an exported name"},
		{"jwx value in a variable", "keys/x.go", declaring("var v, V = 1, jwk.NewSet()"),
			"keys/x.go: exported V mentions jwk.NewSet: no jwx type in an exported name"},
		{"jwx under another name", "keys/x.go", "package keys\nimport j \"" + jwx + "jwk\"\nvar V j.Set\n",
			"keys/x.go: exported V mentions j.Set: no jwx type in an exported name"},
		{"jwx's own package", "keys/x.go", "package keys\nimport \"github.com/lestrrat-go/jwx/v2\"\nvar V jwx.T\n",
			"keys/x.go: exported V mentions jwx.T: no jwx type in an exported name"},
		{"jwx without a name", "keys/x.go", "package keys\nimport . \"" + jwx + "jwk\"\nvar V Set\n",
			"keys/x.go: dot import of jwx: its types could not be told from ours"},

		{"jwx inside keys", "keys/x.go", declaring("type t struct{ K jwk.Key }\nfunc F() { var _ jwk.Key }\n" +
			"type T struct{ k jwk.Key }\nvar v = jwk.NewSet()\nvar V = func() { _ = jwk.NewSet() }"), ""},
		{"jwx in a test of keys", "keys/x_test.go", declaring("var V jwk.Set"), ""},
		{"the issuer imports its rooms", "issuer/main.go", importing(ours+"issuer/internal/server", ours+"keys"), ""},
		{"a test imports its room and a kit", "resource/verify/x_test.go",
			importing(ours+"resource/verify", ours+"keys/keystest", ours+"keys"), ""},
		{"a test imports a kit of no wing", "issuer/internal/store/x_test.go", importing(ours + "keys/keystest/pgtest"), ""},
		{"a script imports any room", "scripts/demo/main.go", importing(ours+"client/tokens", ours+"resource/bearer"), ""},
		{"a script's test imports the script", "scripts/layout/x_test.go", importing(ours + "scripts/layout"), ""},
		{"foreign packages", "client/x.go", importing("net/http", "example.com/signet2/issuer"), ""},
		{"a module of its own", "scripts/bench/x.go", importing(jwx + "jwt"), ""},
		{"test data", "keys/testdata/x.go", "not Go", ""},
		{"hidden folder", ".cache/x.go", "not Go", ""},
		{"file for another system", "keys/x.go", "//go:build windows\n\n" + importing("os"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tree := fstest.MapFS{
				"go.mod":    {Data: []byte("module example.com/signet\n")},
				"README.md": {},
				tt.file:     {Data: []byte(tt.text)},
			}
			got, err := layout.Check(tree)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			if tt.want != "" {
				want = []string{tt.want}
			}
			if !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

func TestCheckUnreadable(t *testing.T) {
	if _, err := layout.Check(fstest.MapFS{"keys/x.go": {Data: []byte("not Go")}}); err == nil {
		t.Error("a file that is not Go was read without an error")
	}
	if _, err := layout.Check(os.DirFS("no such folder")); err == nil {
		t.Error("no folder was read without an error")
	}
}
