package clients

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"example.com/signet/keys"
)

// What a registry does not know.
var (
	ErrUnknownClient   = errors.New("unknown client")
	ErrUnknownResource = errors.New("unknown resource")
)

// Registry is every client and resource, in memory. It is immutable and safe for concurrent use.
type Registry struct {
	clients   map[string]*Client
	resources map[string]*Resource
	files     []string
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

// Resource returns the resource of that audience, or [ErrUnknownResource].
func (r *Registry) Resource(_ context.Context, audience string) (*Resource, error) {
	if res := r.resources[audience]; res != nil {
		return res, nil
	}
	return nil, ErrUnknownResource
}

// Len returns the number of clients, enabled or not.
func (r *Registry) Len() int { return len(r.clients) }

// Clients returns every client, ordered by id.
func (r *Registry) Clients() []*Client {
	return slices.SortedFunc(maps.Values(r.clients), func(a, b *Client) int { return strings.Compare(a.ID, b.ID) })
}

// Algorithms returns the algorithms that sign the tokens of some resource, each once.
func (r *Registry) Algorithms() []keys.Algorithm {
	var wanted []keys.Algorithm
	for _, alg := range keys.Algorithms() {
		for _, res := range r.resources {
			if res.Algorithm == alg {
				wanted = append(wanted, alg)
				break
			}
		}
	}
	return wanted
}

// LongestLifetime returns the longest token lifetime of any resource.
func (r *Registry) LongestLifetime() time.Duration {
	var longest time.Duration
	for _, res := range r.resources {
		longest = max(longest, res.Lifetime)
	}
	return longest
}
