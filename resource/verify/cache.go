package verify

import (
	"strings"
	"sync"

	"example.com/signet/keys"
)

// entryOverhead is what an entry of the cache takes besides the token's text and its claims, in octets. A test holds it
// against the heap.
const entryOverhead = 450

// cache remembers tokens that were accepted, by their very text: another spelling of a token is another text, and was
// refused. When it is full, the oldest go: tokens live for minutes, and one that is still used comes back at once. It
// is safe for concurrent use; readers take no lock, and writers have just spent a hundred times as long on a signature.
type cache struct {
	limit   int      // octets; 0 remembers nothing
	entries sync.Map // of string, the token, to *verified

	mu    sync.Mutex  // held for every change
	queue []*verified // guarded by mu: in the order of their coming, those that are forgotten included
	used  int         // guarded by mu: octets of those in the queue
}

// verified is a token that was accepted. What it was verified with is what makes it good: when the issuer has other
// keys, it counts for nothing.
type verified struct {
	token  string
	claims *claims
	source *source
	set    *keys.Set
}

func (v *verified) size() int { return len(v.token) + v.claims.size() + entryOverhead }

// lookUp returns what is known about the token, nil for nothing.
func (c *cache) lookUp(token string) *verified {
	if c.limit == 0 || len(token) > keys.MaxTokenSize { // before all of it is hashed
		return nil
	}
	found, _ := c.entries.Load(token)
	v, _ := found.(*verified)
	return v
}

// remember keeps a token, under a copy of its text: the one that came in may be a part of something larger.
func (c *cache) remember(v *verified) {
	if v.size() > c.limit {
		return
	}
	v.token = strings.Clone(v.token)
	c.mu.Lock()
	defer c.mu.Unlock()
	if there := c.lookUp(v.token); there != nil && there.set == v.set {
		return // somebody else verified it at the same time
	}
	c.entries.Store(v.token, v)
	c.queue = append(c.queue, v)
	for c.used += v.size(); c.used > c.limit; {
		oldest := c.queue[0]
		c.queue[0], c.queue = nil, c.queue[1:]
		c.used -= oldest.size()
		c.entries.CompareAndDelete(oldest.token, oldest)
	}
}

// forget drops a token that has expired. Its turn in the queue comes later.
func (c *cache) forget(v *verified) { c.entries.CompareAndDelete(v.token, v) }

// empty forgets everything.
func (c *cache) empty() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries.Clear()
	c.queue, c.used = nil, 0
}
