package clients

import (
	"encoding/json"

	"go.yaml.in/yaml/v3"
)

// jwk reads a JWK that is written as JSON in one value, or as a mapping, which becomes the same JSON. What is in it is
// for package keys to judge; here each value has to be text, and a list of texts where RFC 7517 has one (key_ops,
// §4.3).
func (b *builder) jwk(into *scalar) reader {
	return func(node *yaml.Node) {
		if node.Kind != yaml.MappingNode {
			b.scalar(into)(node)
			return
		}
		before := len(b.problems)
		object := make(map[string]any)
		b.members(node, func(name, value *yaml.Node) {
			if name.Value == "key_ops" {
				object[name.Value] = b.texts(value)
			} else {
				object[name.Value] = b.text(value)
			}
		})
		text, err := json.Marshal(object) // which cannot fail on texts
		*into = scalar{text: string(text), line: node.Line, wrong: err != nil || len(b.problems) > before}
	}
}

func (b *builder) text(node *yaml.Node) string {
	var one scalar
	b.scalar(&one)(node)
	return one.text
}

func (b *builder) texts(node *yaml.Node) []string {
	all := []string{}
	b.list(func(item *yaml.Node) { all = append(all, b.text(item)) })(node)
	return all
}
