package clients

import "go.yaml.in/yaml/v3"

// Parse is what [ReadFile] does with a file's text. ParseWhole does it without cutting the text up, ParseParts with
// cutting it up whatever its length, and returns nil when it does not.
var (
	Parse      = parse
	ParseWhole = parseWhole
	ParseParts = parseParts
)

// SplitSize is the length from which Parse cuts a text up.
const SplitSize = splitSize

// DecodeWhole returns the clients in text as nodes, and DecodeParts does the same by cutting it up, size clients to a
// batch; ok is false when there are none or cutting up is refused.
func DecodeWhole(text []byte) (items []*yaml.Node, ok bool) {
	b := &builder{}
	root := b.document(text)
	if len(b.problems) > 0 {
		return nil, false
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == "clients" {
			return root.Content[i+1].Content, true
		}
	}
	return nil, false
}

// DecodeParts is described at [DecodeWhole].
func DecodeParts(text []byte, size int) (items []*yaml.Node, ok bool) {
	p, ok := cut(text, size)
	b := &builder{}
	if !ok || b.decodeFrame(p) == nil {
		return nil, false
	}
	for _, batch := range p.batches {
		root := b.decodeBatch(batch)
		if root == nil {
			return nil, false
		}
		items = append(items, root.Content...)
	}
	return items, true
}

// Nobody is what a secret is compared with when there is no client, for a test that makes the comparison match.
func Nobody() *Secret { return &nobody[0] }
