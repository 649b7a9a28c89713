package tokens

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// client is what the sources of one client have in common.
type client struct {
	cfg      Config
	endpoint endpoint
	own      *http.Transport // closed with the client; nil when the connections are the caller's

	ctx  context.Context // ends with the client
	stop context.CancelFunc

	mu      sync.Mutex
	slots   map[string]*slot // guarded by mu
	closed  bool             // guarded by mu
	busy    rest             // guarded by mu; what the issuer has asked for
	running sync.WaitGroup   // flights, and timers that are set; added to under mu while not closed
}

func newClient(cfg Config) *client {
	c := &client{cfg: cfg, slots: make(map[string]*slot)}
	c.ctx, c.stop = context.WithCancel(context.Background())
	asks := cfg.HTTPClient
	if asks == nil {
		asks = &http.Client{}
		if usual, ok := http.DefaultTransport.(*http.Transport); ok {
			c.own = usual.Clone()
			closeWith(c.ctx, c.own)
			asks.Transport = c.own
		}
	}
	c.endpoint = endpoint{issuer: cfg.Issuer, configured: cfg.TokenEndpoint, client: noRedirects(asks)}
	return c
}

// source returns a source on the one slot that there is for a resource and scope values, in whatever order.
func (c *client) source(target Target) (*Source, error) {
	origin, err := target.check()
	if err != nil {
		return nil, err
	}
	scope := strings.Join(target.Scope, " ")
	key := target.Resource + "\n" + strings.Join(slices.Compact(slices.Sorted(slices.Values(target.Scope))), " ")
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.slots[key] == nil {
		c.slots[key] = newSlot(c, target.Resource, scope)
	}
	return &Source{client: c, slot: c.slots[key], origin: origin}, nil
}

func (c *client) close() {
	c.mu.Lock()
	c.closed = true
	for _, s := range c.slots {
		s.forget()
	}
	c.mu.Unlock()
	c.stop()
	c.running.Wait()
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
}
