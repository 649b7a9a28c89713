package clients_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/keys"
)

// resourcesOf are resources, each by its audience.
func resourcesOf(all ...*clients.Resource) *clients.Resources {
	byAudience := make(map[string]*clients.Resource)
	for _, resource := range all {
		byAudience[resource.Audience] = resource
	}
	return clients.NewResources(byAudience)
}

func TestResources(t *testing.T) {
	t.Parallel()
	es := &clients.Resource{Audience: "urn:b", Enabled: true, Algorithm: keys.ES256, Lifetime: time.Minute}
	rs := &clients.Resource{Audience: "urn:a", Enabled: true, Algorithm: keys.RS256, Lifetime: time.Hour}
	other := &clients.Resource{Audience: "urn:c", Algorithm: keys.RS256, Lifetime: 10 * time.Minute} // disabled
	rows := []struct {
		name      string
		resources []*clients.Resource
		ordered   []*clients.Resource
		algs      []keys.Algorithm
		longest   time.Duration
	}{
		{"none", nil, nil, nil, 0},
		{"one", []*clients.Resource{es}, []*clients.Resource{es}, []keys.Algorithm{keys.ES256}, time.Minute},
		{"a disabled one", []*clients.Resource{other}, []*clients.Resource{other}, []keys.Algorithm{keys.RS256}, 10 * time.Minute},
		{"two algorithms", []*clients.Resource{es, rs}, []*clients.Resource{rs, es},
			[]keys.Algorithm{keys.ES256, keys.RS256}, time.Hour},
		{"one algorithm twice", []*clients.Resource{other, rs, es}, []*clients.Resource{rs, es, other},
			[]keys.Algorithm{keys.ES256, keys.RS256}, time.Hour},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r := resourcesOf(row.resources...)
			if got := r.All(); !slices.Equal(got, row.ordered) || r.Len() != len(row.ordered) || len(r.ByAudience()) != r.Len() {
				t.Errorf("All() = %v, Len() = %d, ByAudience() = %v", got, r.Len(), r.ByAudience())
			}
			if got := r.Algorithms(); !slices.Equal(got, row.algs) {
				t.Errorf("Algorithms() = %v, want %v", got, row.algs)
			}
			if got := r.LongestLifetime(); got != row.longest {
				t.Errorf("LongestLifetime() = %v, want %v", got, row.longest)
			}
			for _, resource := range row.ordered {
				if got, err := r.Resource(t.Context(), resource.Audience); err != nil || got != resource {
					t.Errorf("Resource(%q) = %v, %v", resource.Audience, got, err)
				}
			}
			for _, audience := range []string{"", "urn:d", "urn:A"} {
				if got, err := r.Resource(t.Context(), audience); got != nil || !errors.Is(err, clients.ErrUnknownResource) {
					t.Errorf("Resource(%q) = %v, %v", audience, got, err)
				}
			}
		})
	}
	if !slices.Equal(keys.Algorithms(), []keys.Algorithm{keys.ES256, keys.RS256}) {
		t.Errorf("what all resources share has changed: %v", keys.Algorithms())
	}
}
