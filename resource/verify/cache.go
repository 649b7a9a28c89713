package verify

import (
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
	claims claims
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

// texts returns copies of a token's text and its payload, for an entry to keep: in one piece, which is the less to keep
// track of, and no part of what the token came in, which may be much larger.
func (c *cache) texts(token string, payload []byte) (tokenText, payloadText string) {
	if c.limit == 0 {
		return "", string(payload)
	}
	both := token + string(payload)
	return both[:len(token)], both[len(token):]
}

// remember keeps a token, whose texts are its own.
func (c *cache) remember(v *verified) {
	if v.size() > c.limit {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if there, is := c.entries.LoadOrStore(v.token, v); is {
		if there.(*verified).set == v.set {
			return // somebody else verified it at the same time
		}
		c.entries.Store(v.token, v)
	}
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
