//go:build linux

package main

import (
	"fmt"
	"io"
	"math"
	"strings"

	"example.com/signet/scripts/bench/internal/stats"
)

// report is what was measured, and what its reader must know besides.
type report struct {
	settings
	results []result
}

func (r report) write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "## Over HTTP\n\n- Rounds: %d, each with new processes\n", r.rounds)
	fmt.Fprintf(&b, "- Servers: %s, GOMAXPROCS=1, running at least %.0f %% of the time\n", r.placement(), 100*r.leastBusy())
	fmt.Fprintf(&b, "- Load: %d connections kept alive\n", connections)
	b.WriteString("\nThree servers answer the same requests alike: one does not look at the token (none), one has " +
		"`bearer.IsAuthorized` with default settings in front (signet), one checks the signature and nothing else (bare). " +
		"They take turns. Values are medians of the rounds, ratios the medians of the per-round ratios; beside both stand " +
		"quartiles.\n\n" +
		"| traffic | algorithm | server | requests a second | CPU µs a request | beside | ratio | by CPU | wanted | |\n" +
		"|---|---|---|--:|--:|---|--:|--:|--:|---|\n")
	for _, result := range r.results {
		result.write(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r report) placement() string {
	if r.core == "" {
		return "on any core"
	}
	return fmt.Sprintf("all on core %s and the load on core %s", r.core, loadCore)
}

// leastBusy is the least part of the time that a server ran. Where that is less than nearly all of it, the load was too
// slow for the server or something else ran on its core, and only the ratio by CPU tells anything.
func (r report) leastBusy() float64 {
	least := math.Inf(1)
	for _, result := range r.results {
		for _, s := range result.series {
			least = min(least, stats.Median(s.busy))
		}
	}
	return least
}

func (r result) write(b *strings.Builder) {
	for _, m := range allModes {
		s := r.series[m]
		cells := []string{r.traffic.name, string(r.pool.alg), string(m), spread(s.perSecond, "%.0f"),
			fmt.Sprintf("%.1f", stats.Median(s.cpu))}
		fmt.Fprintf(b, "| %s |\n", strings.Join(append(cells, r.beside(m)...), " | "))
	}
}

// beside is the cells that hold a mode against the yardstick: which, the ratio, the same by CPU, what is wanted and
// whether it was met.
func (r result) beside(m mode) []string {
	if m == none || m == r.traffic.yardstick {
		return []string{"", "", "", "", ""}
	}
	own, yardstick := r.series[m], r.series[r.traffic.yardstick]
	ratios := stats.Ratios(own.perSecond, yardstick.perSecond)
	byCPU := stats.Median(stats.Ratios(yardstick.cpu, own.cpu)) // more is better here too
	cells := []string{string(r.traffic.yardstick), spread(ratios, "%.3f"), fmt.Sprintf("%.3f", byCPU)}
	if m != signet {
		return append(cells, "", "")
	}
	verdict := "met"
	if stats.Median(ratios) < r.traffic.wanted {
		verdict = "**missed**"
	}
	return append(cells, fmt.Sprintf("≥ %.2f", r.traffic.wanted), verdict)
}

// spread is the median and the quartiles.
func spread(values []float64, format string) string {
	return fmt.Sprintf(format+" ("+format+"–"+format+")",
		stats.Median(values), stats.Quantile(values, 0.25), stats.Quantile(values, 0.75))
}
