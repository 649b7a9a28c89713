package oauth_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/keys/keystest"
)

func TestMemorySpent(t *testing.T) {
	t.Parallel()
	clock := keystest.NewClock()
	until := clock.Now().Add(time.Minute)
	spent := oauth.NewMemorySpent(100, clock.Now)
	rows := []struct {
		name, client, id string
		until            time.Time
		want             error
	}{
		{"first", "a", "1", until, nil},
		{"again", "a", "1", until, oauth.ErrSpent},
		{"again with a later end", "a", "1", until.Add(time.Hour), oauth.ErrSpent},
		{"another client", "b", "1", until, nil},
		{"another id", "a", "2", until, nil},
		{"client and id moved", "a1", "", until, nil},
		{"over already", "a", "3", clock.Now(), oauth.ErrSpent},
		{"over long ago", "a", "3", clock.Now().Add(-time.Hour), oauth.ErrSpent},
	}
	for _, row := range rows { // in order: each depends on those before
		if err := spent.Spend(t.Context(), row.client, row.id, row.until); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
	}
	clock.Advance(time.Minute)
	if err := spent.Spend(t.Context(), "a", "1", clock.Now().Add(time.Minute)); err != nil {
		t.Errorf("used again after it expired: %v", err)
	}
}

// A full memory refuses: what it forgot early could be used again.
func TestMemorySpentIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 5000 // beyond the first sweep
	clock := keystest.NewClock()
	spent := oauth.NewMemorySpent(limit, clock.Now)
	spend := func(id int) error {
		return spent.Spend(t.Context(), "a", fmt.Sprint(id), clock.Now().Add(time.Duration(1+id%2)*time.Minute))
	}
	for id := range limit {
		if err := spend(id); err != nil {
			t.Fatalf("id %d: %v", id, err)
		}
	}
	const full = "too many live assertion ids"
	if err := spend(limit); err == nil || err.Error() != full || errors.Is(err, oauth.ErrSpent) {
		t.Fatalf("one too many: %v", err)
	}
	if err := spend(0); !errors.Is(err, oauth.ErrSpent) {
		t.Errorf("a full memory forgot: %v", err)
	}
	clock.Advance(time.Minute) // half of them expire
	for id := range limit / 2 {
		if err := spend(limit + id); err != nil {
			t.Fatalf("after a sweep, id %d: %v", id, err)
		}
	}
	if err := spend(2 * limit); err == nil || err.Error() != full {
		t.Errorf("after a sweep, one too many: %v", err)
	}
	if err := spend(1); !errors.Is(err, oauth.ErrSpent) {
		t.Errorf("the sweep took an id that is live: %v", err)
	}
}

// When the memory is full an attacker must not make each request look through all of it.
func TestMemorySpentSweepsSeldomWhenFull(t *testing.T) {
	t.Parallel()
	const limit = 200_000
	clock := keystest.NewClock()
	spent := oauth.NewMemorySpent(limit, clock.Now)
	until := clock.Now().Add(time.Minute)
	for id := range limit {
		if err := spent.Spend(t.Context(), "a", fmt.Sprint(id), until); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	for id := range 2000 {
		if err := spent.Spend(t.Context(), "b", fmt.Sprint(id), until); err == nil {
			t.Fatal("not full")
		}
	}
	if took := time.Since(start); took > time.Second { // 2000 sweeps of 200,000 take half a minute
		t.Errorf("2000 refusals took %v", took)
	}
}
