package clients

import "go.yaml.in/yaml/v3"

// The file as it is written. Everything knows its line, so that a mistake can be named where it stands.
type (
	fileYAML struct {
		Resources []resourceYAML
		Clients   []clientYAML
	}
	resourceYAML struct {
		line      int
		Audience  scalar
		Scopes    []scalar
		Algorithm scalar
		Type      scalar
		Lifetime  scalar
	}
	clientYAML struct {
		line    int
		ID      scalar
		Name    scalar
		Enabled scalar
		Keys    []keyYAML
		Secrets []secretYAML
		Allow   []allowYAML
		Default scalar
	}
	keyYAML struct {
		line           int
		PEM, JWK, File scalar
	}
	secretYAML struct {
		line            int
		SHA256, Expires scalar
	}
	allowYAML struct {
		line     int
		Resource scalar
		Scopes   []scalar
		Default  []scalar
	}
)

// scalar is one value and its line; line 0 means that it is absent.
type scalar struct {
	text  string
	line  int
	wrong bool // it is no scalar, and that has been noted
}

func (s scalar) present() bool { return s.line != 0 }

// reader takes one node of the file.
type reader func(*yaml.Node)

func (b *builder) file(root *yaml.Node) *fileYAML {
	y := &fileYAML{}
	b.mapping(root, map[string]reader{
		"resources": b.list(func(n *yaml.Node) {
			r := resourceYAML{line: n.Line}
			if b.mapping(n, map[string]reader{
				"audience":       b.scalar(&r.Audience),
				"scopes":         b.scalars(&r.Scopes),
				"algorithm":      b.scalar(&r.Algorithm),
				"token_type":     b.scalar(&r.Type),
				"token_lifetime": b.scalar(&r.Lifetime),
			}) {
				y.Resources = append(y.Resources, r)
			}
		}),
		"clients": b.list(func(n *yaml.Node) {
			c := clientYAML{line: n.Line}
			if b.mapping(n, b.clientFields(&c)) {
				y.Clients = append(y.Clients, c)
			}
		}),
	})
	return y
}

func (b *builder) clientFields(c *clientYAML) map[string]reader {
	return map[string]reader{
		"id":      b.scalar(&c.ID),
		"name":    b.scalar(&c.Name),
		"enabled": b.scalar(&c.Enabled),
		"keys": b.list(func(n *yaml.Node) {
			k := keyYAML{line: n.Line}
			if b.mapping(n, map[string]reader{
				"pem":  b.scalar(&k.PEM),
				"jwk":  b.scalar(&k.JWK),
				"file": b.scalar(&k.File),
			}) {
				c.Keys = append(c.Keys, k)
			}
		}),
		"secrets": b.list(func(n *yaml.Node) {
			s := secretYAML{line: n.Line}
			if b.mapping(n, map[string]reader{
				"sha256":  b.scalar(&s.SHA256),
				"expires": b.scalar(&s.Expires),
			}) {
				c.Secrets = append(c.Secrets, s)
			}
		}),
		"allow": b.list(func(n *yaml.Node) {
			a := allowYAML{line: n.Line}
			if b.mapping(n, map[string]reader{
				"resource":       b.scalar(&a.Resource),
				"scopes":         b.scalars(&a.Scopes),
				"default_scopes": b.scalars(&a.Default),
			}) {
				c.Allow = append(c.Allow, a)
			}
		}),
		"default_resource": b.scalar(&c.Default),
	}
}

// mapping gives each value of a mapping to the reader of its field. It returns false when node is not a mapping.
func (b *builder) mapping(node *yaml.Node, fields map[string]reader) bool {
	if !b.is(node, yaml.MappingNode, "a mapping of fields") {
		return false
	}
	lines := make(map[string]int)
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		read, known := fields[name.Value]
		switch {
		case !known:
			b.add(name.Line, "unknown field %.40q", name.Value)
		case lines[name.Value] != 0:
			b.add(name.Line, "field %q is there already, at line %d", name.Value, lines[name.Value])
		default:
			lines[name.Value] = name.Line
			read(value)
		}
	}
	return true
}

func (b *builder) list(read reader) reader {
	return func(node *yaml.Node) {
		if !b.is(node, yaml.SequenceNode, "a list") {
			return
		}
		for _, item := range node.Content {
			read(item)
		}
	}
}

func (b *builder) scalar(into *scalar) reader {
	return func(node *yaml.Node) {
		*into = scalar{text: node.Value, line: node.Line, wrong: !b.is(node, yaml.ScalarNode, "one value")}
	}
}

func (b *builder) scalars(into *[]scalar) reader {
	return b.list(func(node *yaml.Node) {
		var one scalar
		b.scalar(&one)(node)
		*into = append(*into, one)
	})
}

// is notes a node of another kind than the one that is needed. A value that is left out is none of any kind. An alias
// is not followed: one line would stand in many places, and a few lines could unfold without end.
func (b *builder) is(node *yaml.Node, kind yaml.Kind, name string) bool {
	switch {
	case node.Kind == yaml.AliasNode:
		b.add(node.Line, "aliases are not read: write the value out")
	case node.Kind != kind || node.ShortTag() == "!!null":
		b.add(node.Line, "%s is needed here", name)
	default:
		return true
	}
	return false
}
