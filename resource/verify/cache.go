package verify

import (
	"hash/maphash"
	"strings"
	"sync/atomic"

	"github.com/maypok86/otter/v2"

	"example.com/signet/keys"
)

// entryOverhead is what an entry of the cache takes besides the token's text and its claims, in octets: the entry, its
// node and its place in the table. A test holds it against the heap.
const entryOverhead = 700

// cache remembers tokens that were accepted twice, by their very text: another spelling of a token is another text, and
// was refused. Many tokens are used once, and need neither the memory nor the time. It is safe for concurrent use and has
// no goroutine.
type cache struct {
	table *otter.Cache[string, *verified] // nil remembers nothing
	seed  maphash.Seed
	once  []atomic.Uint64 // hashes of tokens that were accepted lately, each in the place that it names
}

// onceSize is the number of tokens that are known to have been seen once. It makes 64 KiB.
const onceSize = 8 << 10

// verified is a token that was accepted. What it was verified with is what makes it good: when the issuer has other keys,
// it counts for nothing.
type verified struct {
	claims *claims
	source *source
	set    *keys.Set
}

// newCache returns a cache that takes at most size octets. With size 0 it remembers nothing.
func newCache(size int) cache {
	if size == 0 {
		return cache{}
	}
	table := otter.Must(&otter.Options[string, *verified]{
		MaximumWeight: uint64(size),
		Weigher: func(token string, v *verified) uint32 {
			return uint32(len(token) + len(v.claims.payload) + entryOverhead)
		},
		Executor: func(maintain func()) { maintain() }, // by the caller: it is little, and Close has nothing to wait for
	})
	return cache{table: table, seed: maphash.MakeSeed(), once: make([]atomic.Uint64, onceSize)}
}

// lookUp returns what is known about the token, nil for nothing.
func (c cache) lookUp(token string) *verified {
	if c.table == nil {
		return nil
	}
	v, _ := c.table.GetIfPresent(token)
	return v
}

// remember keeps a token, if it was accepted before. The text is copied: the one that came in may be a part of something
// larger.
func (c cache) remember(token string, v *verified) {
	if c.table != nil && c.isSecond(token) {
		c.table.Set(strings.Clone(token), v)
	}
}

// isSecond reports whether the token was there lately. A mistake, which takes two tokens with one hash, costs nothing but
// a place.
func (c cache) isSecond(token string) bool {
	hash := maphash.String(c.seed, token)
	return c.once[hash%onceSize].Swap(hash) == hash
}

func (c cache) forget(token string) {
	if c.table != nil {
		c.table.Invalidate(token)
	}
}

// empty forgets everything.
func (c cache) empty() {
	if c.table != nil {
		c.table.InvalidateAll()
	}
}
