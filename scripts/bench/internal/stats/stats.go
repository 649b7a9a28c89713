// Package stats is the arithmetic of the comparisons: quantiles and ratios round by round.
package stats

import (
	"cmp"
	"slices"
)

// Number is what can be measured.
type Number interface{ ~int64 | ~float64 }

// Quantile returns the value below which the part q of values lies, between two of them by proportion; 0 when there are
// none. The order of values does not matter and is kept.
func Quantile[T Number](values []T, q float64) T {
	sorted := slices.SortedFunc(slices.Values(values), cmp.Compare[T])
	if len(sorted) == 0 {
		return 0
	}
	position := q * float64(len(sorted)-1)
	i := int(position)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + T((position-float64(i))*float64(sorted[i+1]-sorted[i]))
}

// Median is the quantile of a half.
func Median[T Number](values []T) T { return Quantile(values, 0.5) }

// Ratios divides the measurements of two sides round by round. Both have as many.
func Ratios[T Number](over, under []T) []float64 {
	quotients := make([]float64, len(over))
	for i := range quotients {
		quotients[i] = float64(over[i]) / float64(under[i])
	}
	return quotients
}
