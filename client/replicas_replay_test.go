package main_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// keep remembers an assertion that has been sent, to be sent again.
func (c *crowd) keep(r *request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.assertion != "" {
		c.sent = append(c.sent, r)
	}
}

// replay sends an assertion that was sent before. One that was refused with a 503, or whose issuer died, may not have been
// used up: then it is good now, once.
func (c *crowd) replay(ctx context.Context, r *request, address string) verdict {
	asked := time.Now()
	v, token := c.ask(r, address)
	switch v {
	case granted:
		c.accepted(r)
		c.running.Go(func() { c.use(ctx, r.asker, token, asked) })
	case denied:
		c.add(func(n *tally) { n.replaysRefused++ })
	case notNow, cutOff:
		c.add(func(n *tally) { n.replaysUndecided++ })
	}
	return v
}

// replayEverywhere sends an assertion to each issuer: to the one that accepted it, and to those that must hear of it.
func (c *crowd) replayEverywhere(ctx context.Context, r *request) {
	if r.assertion == "" {
		return
	}
	for i := range c.front.backends {
		c.replay(ctx, r, c.front.address(i))
	}
}

// replayAny sends any assertion of before to any issuer.
func (c *crowd) replayAny(ctx context.Context) {
	c.mu.Lock()
	var r *request
	if len(c.sent) > 0 {
		r = c.sent[rand.IntN(len(c.sent))]
	}
	c.mu.Unlock()
	if r != nil {
		c.replay(ctx, r, c.front.anyAddress())
	}
}

// replayAll sends every assertion once more. All issuers are up, and so is the database: each can tell.
func (c *crowd) replayAll(t *testing.T) {
	t.Helper()
	const workers = 8
	requests := make(chan *request)
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for r := range requests {
				if v := c.replay(t.Context(), r, c.front.anyAddress()); v == notNow || v == cutOff {
					c.load.fail(nil, "", "an assertion of %s cannot be checked when all is over", r.id)
				}
			}
		})
	}
	for _, r := range c.sent {
		requests <- r
	}
	close(requests)
	working.Wait()
	c.running.Wait()
}
