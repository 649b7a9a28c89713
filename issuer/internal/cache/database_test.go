package cache_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"example.com/signet/issuer/internal/cache"
	"example.com/signet/issuer/internal/clients"
)

var _ cache.Store = (*database)(nil)

var errAway = errors.New("the database does not answer")

// database is a registry that does what the test wants. What it answers is of the moment when it was asked, however long
// the answer takes. It is safe for concurrent use.
type database struct {
	mu        sync.Mutex
	clients   map[string]*clients.Client
	resources map[string]*clients.Resource
	changed   []string // what each revision changed, the first one at index 0: a client's id, or "" for the resources
	noClients error    // what a lookup fails with; nil: it does not
	noReads   error    // the same for reading the resources
	noLooks   error    // the same for asking what has changed
	all       bool     // the next answer to what has changed is: too much to name
	gate      chan struct{}

	asked     map[string]int // how often each id was looked up
	answering int            // lookups that wait at the gate
	most      int            // that ever waited there at once
	abandoned int            // whose context ended
	reads     int            // of the resources
	since     []int64        // the revision of each question what has changed
}

func newDatabase() *database {
	return &database{
		clients:   make(map[string]*clients.Client),
		resources: map[string]*clients.Resource{orders: newResource(orders, "read")},
		asked:     make(map[string]int),
	}
}

func (d *database) Client(ctx context.Context, id string) (*clients.Client, error) {
	d.mu.Lock()
	d.asked[id]++
	client, err, gate := d.clients[id], d.noClients, d.gate
	d.answering++
	d.most = max(d.most, d.answering)
	d.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answering--
	if ctx.Err() != nil {
		d.abandoned++
	}
	switch {
	case err != nil:
		return nil, err
	case client == nil:
		return nil, clients.ErrUnknownClient
	}
	return client, nil
}

func (d *database) Resources(context.Context) (map[string]*clients.Resource, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads++
	return maps.Clone(d.resources), d.noReads
}

func (d *database) Touched(ctx context.Context, since int64) (clients.Touched, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.since = append(d.since, since)
	if err := errors.Join(d.noLooks, ctx.Err()); err != nil {
		return clients.Touched{}, err
	}
	touched := clients.Touched{Revision: int64(len(d.changed)), All: d.all || int64(len(d.changed)) < since}
	d.all = false
	if touched.All { // it names nothing then
		return touched, nil
	}
	for _, id := range d.changed[since:] {
		if id == "" {
			touched.Resources = true
		} else {
			touched.Clients = append(touched.Clients, id)
		}
	}
	return touched, nil
}

// change changes the database, and how it answers, in one step.
func (d *database) change(do func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	do()
}

// put adds clients, or changes them.
func (d *database) put(all ...*clients.Client) {
	d.change(func() {
		for _, client := range all {
			d.clients[client.ID] = client
			d.changed = append(d.changed, client.ID)
		}
	})
}

func (d *database) remove(id string) {
	d.change(func() {
		delete(d.clients, id)
		d.changed = append(d.changed, id)
	})
}

func (d *database) putResource(resource *clients.Resource) {
	d.change(func() {
		d.resources[resource.Audience] = resource
		d.changed = append(d.changed, "")
	})
}

// away makes it fail with err whatever it is asked; nil: it is back.
func (d *database) away(err error) {
	d.change(func() { d.noClients, d.noReads, d.noLooks = err, err, err })
}

// hang makes lookups wait until what it returns is called.
func (d *database) hang() (release func()) {
	gate := make(chan struct{})
	d.change(func() { d.gate = gate })
	return func() {
		d.change(func() { d.gate = nil })
		close(gate)
	}
}

// lookups returns how often an id was looked up.
func (d *database) lookups(id string) (n int) {
	d.change(func() { n = d.asked[id] })
	return n
}

// looks returns from which revisions it was asked what has changed.
func (d *database) looks() (since []int64) {
	d.change(func() { since = slices.Clone(d.since) })
	return since
}

func newResource(audience string, scopes ...string) *clients.Resource {
	return &clients.Resource{
		Audience: audience, Enabled: true, Scopes: scopes,
		Algorithm: clients.DefaultAlgorithm, Type: clients.DefaultType, Lifetime: clients.DefaultLifetime,
	}
}

// named returns a client with a name, by which a test tells one state of it from another.
func named(id, name string) *clients.Client {
	return &clients.Client{
		ID: id, Name: name, Enabled: true,
		Grants: []clients.Grant{{Audience: orders, Scopes: clients.Scope{"read"}}}, Default: orders,
	}
}
