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
		Enabled   scalar
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
		JWKSURI scalar
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
				"enabled":        b.scalar(&r.Enabled),
				"scopes":         b.scalars(&r.Scopes),
				"algorithm":      b.scalar(&r.Algorithm),
				"token_type":     b.scalar(&r.Type),
				"token_lifetime": b.scalar(&r.Lifetime),
			}) {
				y.Resources = append(y.Resources, r)
			}
		}),
		"clients": b.clientList(&y.Clients),
	})
	return y
}

// clientList reads a list of clients. Their readers are made once, not for each: there may be 100,000.
func (b *builder) clientList(into *[]clientYAML) reader {
	var c clientYAML
	fields := map[string]reader{
		"id":               b.scalar(&c.ID),
		"name":             b.scalar(&c.Name),
		"enabled":          b.scalar(&c.Enabled),
		"keys":             b.keyList(&c.Keys),
		"jwks_uri":         b.scalar(&c.JWKSURI),
		"secrets":          b.secretList(&c.Secrets),
		"allow":            b.allowList(&c.Allow),
		"default_resource": b.scalar(&c.Default),
	}
	return b.list(func(n *yaml.Node) {
		c = clientYAML{line: n.Line}
		if b.mapping(n, fields) {
			*into = append(*into, c)
		}
	})
}

func (b *builder) keyList(into *[]keyYAML) reader {
	var k keyYAML
	fields := map[string]reader{
		"pem":  b.scalar(&k.PEM),
		"jwk":  b.jwk(&k.JWK),
		"file": b.scalar(&k.File),
	}
	return b.list(func(n *yaml.Node) {
		k = keyYAML{line: n.Line}
		if b.mapping(n, fields) {
			*into = append(*into, k)
		}
	})
}

func (b *builder) secretList(into *[]secretYAML) reader {
	var s secretYAML
	fields := map[string]reader{
		"sha256":  b.scalar(&s.SHA256),
		"expires": b.scalar(&s.Expires),
	}
	return b.list(func(n *yaml.Node) {
		s = secretYAML{line: n.Line}
		if b.mapping(n, fields) {
			*into = append(*into, s)
		}
	})
}

func (b *builder) allowList(into *[]allowYAML) reader {
	var a allowYAML
	fields := map[string]reader{
		"resource":       b.scalar(&a.Resource),
		"scopes":         b.scalars(&a.Scopes),
		"default_scopes": b.scalars(&a.Default),
	}
	return b.list(func(n *yaml.Node) {
		a = allowYAML{line: n.Line}
		if b.mapping(n, fields) {
			*into = append(*into, a)
		}
	})
}

// mapping gives each value of a mapping to the reader of its field. It returns false when node is not a mapping.
func (b *builder) mapping(node *yaml.Node, fields map[string]reader) bool {
	return b.members(node, func(name, value *yaml.Node) {
		if read, known := fields[name.Value]; known {
			read(value)
		} else {
			b.add(name.Line, "unknown field %.40q", name.Value)
		}
	})
}

// members gives each name of a mapping and its value to read. It returns false when node is not a mapping.
func (b *builder) members(node *yaml.Node, read func(name, value *yaml.Node)) bool {
	if !b.is(node, yaml.MappingNode, "a mapping of fields") {
		return false
	}
	lines := make(map[string]int)
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		if !b.is(name, yaml.ScalarNode, "the name of a field") {
			continue
		}
		if first, seen := lines[name.Value]; seen {
			b.add(name.Line, "field %.40q is there already, at line %d", name.Value, first)
			continue
		}
		lines[name.Value] = name.Line
		read(name, value)
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
