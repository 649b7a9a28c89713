package main

import (
	"slices"
	"testing"
	"time"

	"example.com/signet/keys/keystest/pgtest"
)

// What one issuer is told reaches all that share its database: within a second, by announcement, and sooner than by
// looking every second.
func TestChangesReachReplicas(t *testing.T) {
	t.Parallel()
	registry, _ := keyed(t)
	h := newDatabaseHome(t, pgtest.Shared(t).NewDatabase(t), registry)
	took := h.changes(time.Second, h.start(quick()...), h.start(quick()...))
	slices.Sort(took)
	if median := took[len(took)/2]; median > 250*time.Millisecond {
		t.Errorf("half of the changes took %v or longer: nothing is announced", median)
	}
}

// Where announcements are lost, or a pooler lets nobody listen, it takes five seconds at most.
func TestAnnouncementsLost(t *testing.T) {
	t.Parallel()
	for name, wall := range map[string]*gate{"on their way": {lose: true}, "for nobody may listen": {cut: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			registry, _ := keyed(t)
			h := newDatabaseHome(t, wall.open(t, pgtest.Shared(t).NewDatabase(t)), registry)
			first, second := h.start(quick()...), h.start(quick()...)
			took := h.changes(5*time.Second, first, second)
			slices.Sort(took)
			if median := took[len(took)/2]; median < 20*time.Millisecond {
				t.Errorf("half of the changes took %v or less: nothing was lost", median)
			}
			for _, p := range []*program{first, second} {
				if told := p.log.find("no announcements of changes; looking for them meanwhile") != nil; told != wall.cut {
					t.Errorf("that it looks is told: %v, want %v\n%s", told, wall.cut, p.log)
				}
				p.stop()
			}
		})
	}
}

// quick are arguments with which a standby may sign seconds after it was made.
func quick() []string {
	return append(unlimited(), "--jwks-max-age", "1s", "--keys-publish-ahead", "2s")
}
