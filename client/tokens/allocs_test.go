//go:build !race

package tokens_test

import (
	"context"
	"testing"
)

// A token that is at hand costs no memory. The race detector's own allocations would count, so it is not asked.
func TestTokenAllocatesNothing(t *testing.T) {
	source := benchSource(t)
	ctx := context.Background()
	allocations := testing.AllocsPerRun(1000, func() {
		if _, err := source.Token(ctx); err != nil {
			t.Error(err)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}
