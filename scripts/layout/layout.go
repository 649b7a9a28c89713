// Package layout holds Signet's source against the plan of the house: which package (a room) may import which, that the
// issuer, the resource server and the client share nothing but what is on the wire, and that the JOSE library stays in
// the one room that may use it. Its test runs it on the repository:
//
//	violations, err := layout.Check(os.DirFS("."))
//
// It reads files and needs no compiler, so it sees every file whatever its build tags.
package layout

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

const (
	module = "example.com/signet"
	jose   = "github.com/lestrrat-go/jwx"
)

// rooms says what each package may import of ours. A room that is not here is refused: to add one, say first where it
// stands. An asterisk stands for one path element.
var rooms = map[string][]string{
	"keys":          {},
	"keys/remote":   {"keys"},
	"keys/keystest": {"keys"},

	"keys/keystest/pgtest": {},

	"issuer":                     {"issuer/internal/*", "keys"},
	"issuer/internal/config":     {},
	"issuer/internal/clients":    {"issuer/internal/watch", "keys", "keys/remote"},
	"issuer/internal/clientjwks": {"keys", "keys/remote"},
	"issuer/internal/oauth":      {"issuer/internal/clients", "keys"},
	"issuer/internal/server":     {"issuer/internal/limit", "issuer/internal/oauth", "issuer/internal/watch", "keys"},
	"issuer/internal/limit":      {},
	"issuer/internal/watch":      {},
	"issuer/internal/keeper":     {"keys"},
	"issuer/internal/cache":      {"issuer/internal/clients", "keys"},
	"issuer/internal/masterkey":  {"keys"},
	"issuer/internal/store":      {"issuer/internal/clients", "issuer/internal/masterkey", "keys"},

	"resource":                {"resource/internal/*", "resource/verify", "resource/bearer"},
	"resource/internal/proxy": {"resource/bearer", "resource/verify"},
	"resource/bearer":         {"resource/verify"},
	"resource/verify":         {"keys", "keys/remote"},

	"resource/verify/verifytest": {"keys", "resource/verify"},

	"client":        {"client/internal/*", "client/tokens", "keys", "keys/remote"},
	"client/tokens": {"keys", "keys/remote"},

	"client/internal/doctor":     {"keys", "keys/remote"},
	"client/internal/loopback":   {},
	"client/internal/proxy":      {"client/tokens"},
	"client/internal/tokencache": {"client/tokens", "keys"},
}

// wings never import one another, test kits included.
var wings = []string{"issuer", "resource", "client"}

// topLevel are the names that the repository's first folder may have, besides dotfiles.
var topLevel = []string{
	"go.mod", "go.sum", "README.md", "LICENSE", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md",
	"issuer", "resource", "client", "keys", "scripts",
}

// ownModules are folders with a go.mod of their own, whose imports are no concern of ours.
var ownModules = []string{"scripts/bench", "scripts/tools"}

// Check returns a line for each place where the module in fsys breaks a rule, in the order of the files. The error is
// that of reading or parsing.
func Check(fsys fs.FS) (violations []string, err error) {
	violations, err = checkTopLevel(fsys)
	if err != nil {
		return nil, err
	}
	err = fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && skipped(name):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".go" || path.Dir(name) == ".": // a file there breaks topLevel
			return nil
		}
		found, err := checkFile(fsys, name)
		violations = append(violations, found...)
		return err
	})
	return violations, err
}

// skipped reports whether a folder is one that the go command passes over too, or a module of its own.
func skipped(dir string) bool {
	base := path.Base(dir)
	hidden := dir != "." && (base[0] == '.' || base[0] == '_')
	return hidden || base == "testdata" || slices.Contains(ownModules, dir)
}

func checkTopLevel(fsys fs.FS) (violations []string, err error) {
	entries, err := fs.ReadDir(fsys, ".")
	for _, entry := range entries {
		if name := entry.Name(); name[0] != '.' && !slices.Contains(topLevel, name) {
			violations = append(violations, fmt.Sprintf("%s: not one of the top-level names", name))
		}
	}
	return violations, err
}

func checkFile(fsys fs.FS, name string) (violations []string, err error) {
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	room := path.Dir(name)
	if _, known := rooms[room]; !known && !under(room, "scripts") {
		return []string{fmt.Sprintf("%s: unknown room %s", name, room)}, nil
	}
	mode := parser.ImportsOnly
	if room == "keys" {
		mode = parser.SkipObjectResolution
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, text, mode)
	if err != nil {
		return nil, err
	}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("parsing an import of %s: %w", name, err)
		}
		if reason := refusal(name, imported); reason != "" {
			violations = append(violations, fmt.Sprintf("%s imports %s: %s", name, imported, reason))
		}
	}
	if room == "keys" && !isTest(name) {
		violations = append(violations, checkExported(name, file)...)
	}
	return violations, nil
}

// refusal says why the file may not import the package, or "".
func refusal(file, imported string) string {
	room := path.Dir(file)
	if under(imported, jose) && room != "keys" {
		return "only keys may"
	}
	if !under(imported, module) {
		return ""
	}
	target := strings.TrimPrefix(strings.TrimPrefix(imported, module), "/")
	switch {
	case isTest(file) && (target == room || sameWing(room, target)): // what it tests, and real parts to test it with
		return ""
	case under(target, "scripts"):
		return "nothing imports scripts"
	case isKit(target) && !isTest(file) && !isKit(room):
		return "only tests and test kits may"
	case isKit(target) && !acrossWings(room, target):
		return ""
	case under(room, "scripts"):
		return ""
	case !mayImport(room, target):
		return room + " may import " + listed(rooms[room])
	}
	return ""
}

func mayImport(room, target string) bool {
	return slices.ContainsFunc(rooms[room], func(pattern string) bool {
		ok, err := path.Match(pattern, target)
		return ok && err == nil
	})
}

func listed(patterns []string) string {
	if len(patterns) == 0 {
		return "nothing of ours"
	}
	return strings.Join(patterns, ", ")
}

func sameWing(room, target string) bool { return wing(room) != "" && wing(room) == wing(target) }

func acrossWings(room, target string) bool {
	from, to := wing(room), wing(target)
	return from != "" && to != "" && from != to
}

func wing(room string) string {
	first, _, _ := strings.Cut(room, "/")
	if slices.Contains(wings, first) {
		return first
	}
	return ""
}

// isKit reports whether a room helps tests: keystest, as net/http/httptest.
func isKit(room string) bool { return strings.HasSuffix(room, "test") }

func isTest(file string) bool { return strings.HasSuffix(file, "_test.go") }

// under reports whether name is dir or in it.
func under(name, dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") }

// checkExported finds the exported names of a file whose declaration mentions the JOSE library.
func checkExported(name string, file *ast.File) (violations []string) {
	jwx := joseNames(file)
	if jwx["."] {
		return []string{name + ": dot import of jwx: its types could not be told from ours"}
	}
	for _, decl := range file.Decls {
		for _, e := range exported(decl) {
			for _, mention := range mentions(e.node, jwx) {
				violations = append(violations,
					fmt.Sprintf("%s: exported %s mentions %s: no jwx type in an exported name", name, e.name, mention))
			}
		}
	}
	return violations
}

// joseNames returns the names under which a file knows the packages of the JOSE library.
func joseNames(file *ast.File) map[string]bool {
	names := make(map[string]bool)
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil || !under(imported, jose) {
			continue
		}
		name := path.Base(imported)
		if path.Dir(imported) == jose { // the library's own package: its path ends in the major version
			name = path.Base(jose)
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = true
	}
	return names
}

// part is what others see of an exported declaration.
type part struct {
	name string
	node ast.Node
}

func exported(decl ast.Decl) (parts []part) {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		if decl.Name.IsExported() {
			return []part{{decl.Name.Name, decl.Type}}
		}
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				parts = append(parts, exportedType(spec)...)
			case *ast.ValueSpec:
				parts = append(parts, exportedValues(spec)...)
			}
		}
	}
	return parts
}

func exportedType(spec *ast.TypeSpec) (parts []part) {
	if !spec.Name.IsExported() {
		return nil
	}
	structure, ok := spec.Type.(*ast.StructType)
	if !ok {
		return []part{{spec.Name.Name, spec}}
	}
	if spec.TypeParams != nil {
		parts = append(parts, part{spec.Name.Name, spec.TypeParams})
	}
	for _, field := range structure.Fields.List {
		if len(field.Names) == 0 || slices.ContainsFunc(field.Names, (*ast.Ident).IsExported) {
			parts = append(parts, part{spec.Name.Name, field.Type})
		}
	}
	return parts
}

func exportedValues(spec *ast.ValueSpec) (parts []part) {
	for i, name := range spec.Names {
		if !name.IsExported() {
			continue
		}
		if spec.Type != nil {
			parts = append(parts, part{name.Name, spec.Type})
		} else if i < len(spec.Values) {
			parts = append(parts, part{name.Name, spec.Values[i]})
		}
	}
	return parts
}

// mentions returns the identifiers of the named packages in node, each once and in order; function bodies do not count.
func mentions(node ast.Node, packages map[string]bool) []string {
	found := make(map[string]bool)
	ast.Inspect(node, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if pkg, ok := selector.X.(*ast.Ident); ok && packages[pkg.Name] {
				found[pkg.Name+"."+selector.Sel.Name] = true
			}
		}
		_, isBody := node.(*ast.BlockStmt)
		return !isBody
	})
	return slices.Sorted(maps.Keys(found))
}
