package clients

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
)

// What a registry does not know.
var (
	ErrUnknownClient   = errors.New("unknown client")
	ErrUnknownResource = errors.New("unknown resource")
)

// Registry is every client and resource, in memory. It is immutable and safe for concurrent use.
type Registry struct {
	*Resources
	clients map[string]*Client
	files   []string
}

// Files returns the paths, as they were opened, of the file that the registry was read from and then of each key file
// that it names, sorted. It is nil when the registry was read from none.
func (r *Registry) Files() []string { return slices.Clone(r.files) }

// Client returns the client named id, enabled or not, or [ErrUnknownClient].
func (r *Registry) Client(_ context.Context, id string) (*Client, error) {
	if c := r.clients[id]; c != nil {
		return c, nil
	}
	return nil, ErrUnknownClient
}

// Len returns the number of clients, enabled or not.
func (r *Registry) Len() int { return len(r.clients) }

// Clients returns every client, ordered by id.
func (r *Registry) Clients() []*Client {
	return slices.SortedFunc(maps.Values(r.clients), func(a, b *Client) int { return strings.Compare(a.ID, b.ID) })
}
