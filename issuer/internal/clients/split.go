package clients

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.yaml.in/yaml/v3"
)

const (
	splitSize = 1 << 20 // octets from which a file is worth cutting up
	batchSize = 500     // clients that are decoded at a time
)

// parts is the text of a registry cut up, so that its clients can be decoded in batches: in half the time on two cores,
// and without a tree of the whole file in memory.
type parts struct {
	frame   []byte // everything but the clients, and one empty client in their place
	line    int    // where the empty client stands in frame
	column  int
	batches []batch // the clients, in order
}

// batch is the text of some clients, a YAML list by itself.
type batch struct {
	text  []byte
	items int
}

// parseParts does what parseWhole does, faster, for a text that can be cut up and has no mistakes. For any other it
// returns nil: what is wrong, and where, is for parseWhole to say.
//
// It is right because YAML is read from front to back. The frame shows that the list of clients begins where cut says.
// Each batch is complete in itself, so that nothing in it (a quote, a bracket) is open where the next begins, and has
// as many clients as lines that cut took for the first line of one.
func parseParts(text []byte, dir string, now time.Time, size int) *Registry {
	p, ok := cut(text, size)
	if !ok {
		return nil
	}
	b := &builder{dir: dir, now: now}
	frame := b.decodeFrame(p)
	if frame == nil {
		return nil
	}
	b.buildResources(b.file(frame).Resources)
	if len(b.problems) > 0 {
		return nil
	}
	b.clients = make(map[string]*Client, len(p.batches)*size)
	for _, part := range b.buildBatches(p.batches) {
		if part == nil || !b.merge(part) {
			return nil
		}
	}
	return b.registry()
}

// decodeFrame decodes the frame, and returns nil unless the empty client stands in the list of clients where it was
// put.
func (b *builder) decodeFrame(p parts) *yaml.Node {
	root := b.document(p.frame)
	if len(b.problems) > 0 || root.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if list := root.Content[i+1]; root.Content[i].Value == "clients" {
			here := list.Kind == yaml.SequenceNode && len(list.Content) == 1 &&
				list.Content[0].Line == p.line && list.Content[0].Column == p.column
			if here {
				return root
			}
			return nil
		}
	}
	return nil
}

// decodeBatch decodes a batch, and returns nil unless it is a list of as many items as were counted.
func (b *builder) decodeBatch(text batch) *yaml.Node {
	root := b.document(text.text)
	if len(b.problems) > 0 || root.Kind != yaml.SequenceNode || len(root.Content) != text.items {
		return nil
	}
	return root
}

// buildBatches builds the clients of the batches, several batches at a time. Where one has a mistake, it is nil, and
// those not begun by then are too.
func (b *builder) buildBatches(batches []batch) []*builder {
	built := make([]*builder, len(batches))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(batches)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(batches)); i = next.Add(1) - 1 {
				if built[i] = b.buildBatch(batches[i]); built[i] == nil {
					next.Store(int64(len(batches)))
				}
			}
		})
	}
	workers.Wait()
	return built
}

// buildBatch builds the clients of one batch, or returns nil when there is a mistake. It only reads from b.
func (b *builder) buildBatch(text batch) *builder {
	part := &builder{dir: b.dir, now: b.now, resources: b.resources}
	root := part.decodeBatch(text)
	if root == nil {
		return nil
	}
	var all []clientYAML
	part.clientList(&all)(root)
	part.buildClients(all)
	if len(part.problems) > 0 {
		return nil
	}
	return part
}

// merge adds what a batch has, and reports whether its ids are new.
func (b *builder) merge(part *builder) bool {
	for id, client := range part.clients {
		if b.clients[id] != nil {
			return false
		}
		b.clients[id] = client
	}
	b.files = append(b.files, part.files...)
	return true
}
