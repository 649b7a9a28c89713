package stats_test

import (
	"slices"
	"testing"
	"time"

	"example.com/signet/scripts/bench/internal/stats"
)

func TestQuantile(t *testing.T) {
	tests := []struct {
		name   string
		values []float64
		q      float64
		want   float64
	}{
		{"none", nil, 0.5, 0},
		{"one", []float64{7}, 0.5, 7},
		{"odd, unsorted", []float64{9, 1, 5}, 0.5, 5},
		{"even", []float64{4, 1, 2, 3}, 0.5, 2.5},
		{"lower quartile", []float64{1, 2, 3, 4, 5}, 0.25, 2},
		{"smallest", []float64{3, 1, 2}, 0, 1},
		{"largest", []float64{1, 2, 3}, 1, 3},
		{"nearly the largest", []float64{0, 10}, 0.99, 9.9},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := slices.Clone(tt.values)
			if got := stats.Quantile(tt.values, tt.q); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if !slices.Equal(tt.values, before) {
				t.Errorf("the values were reordered to %v", tt.values)
			}
		})
	}
}

func TestMedianOfDurations(t *testing.T) {
	if got := stats.Median([]time.Duration{4, 1, 2, 9}); got != 3 {
		t.Errorf("got %v, want 3ns", got)
	}
}

func TestRatios(t *testing.T) {
	if got := stats.Ratios([]float64{1, 6}, []float64{2, 4}); !slices.Equal(got, []float64{0.5, 1.5}) {
		t.Errorf("got %v", got)
	}
}
