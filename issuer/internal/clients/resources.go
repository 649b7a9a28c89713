package clients

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"example.com/signet/keys"
)

// Resources are the resources of a registry. They are immutable and safe for concurrent use.
type Resources struct {
	all map[string]*Resource
}

// NewResources returns the resources, which are given by audience. The caller gives the map away.
func NewResources(all map[string]*Resource) *Resources { return &Resources{all} }

// Resource returns the resource of that audience, or [ErrUnknownResource].
func (r *Resources) Resource(_ context.Context, audience string) (*Resource, error) {
	if resource := r.all[audience]; resource != nil {
		return resource, nil
	}
	return nil, ErrUnknownResource
}

// Len returns the number of resources.
func (r *Resources) Len() int { return len(r.all) }

// ByAudience returns every resource. The caller must not change the map.
func (r *Resources) ByAudience() map[string]*Resource { return r.all }

// All returns every resource, ordered by audience.
func (r *Resources) All() []*Resource {
	return slices.SortedFunc(maps.Values(r.all), func(a, b *Resource) int { return strings.Compare(a.Audience, b.Audience) })
}

// Algorithms returns the algorithms that sign the tokens of some resource, each once.
func (r *Resources) Algorithms() []keys.Algorithm {
	return slices.DeleteFunc(keys.Algorithms(), func(alg keys.Algorithm) bool {
		for _, resource := range r.all {
			if resource.Algorithm == alg {
				return false
			}
		}
		return true
	})
}

// LongestLifetime returns the longest token lifetime of any resource.
func (r *Resources) LongestLifetime() (longest time.Duration) {
	for _, resource := range r.all {
		longest = max(longest, resource.Lifetime)
	}
	return longest
}

// Touched says what has changed in a registry since a revision of it.
type Touched struct {
	Revision  int64    // as of now
	All       bool     // too much to name, or the registry was put back to an earlier state
	Resources bool     // some resource
	Clients   []string // the ids
}
