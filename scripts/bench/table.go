package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"example.com/signet/scripts/bench/internal/stats"
)

// heading is what the table's reader must know of the measurement besides its numbers.
type heading struct {
	goVersion, jwx, date string
}

// write prints the table: first the pairs, then what stands alone.
func (r *results) write(w io.Writer, h heading) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Benchmarks\n\n- CPU: %s\n- Go: %s\n- jwx: %s\n- Date: %s\n- Rounds: %d\n",
		r.cpu, h.goVersion, h.jwx, h.date, r.rounds())
	r.writePairs(&b)
	r.writeSingles(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

const (
	signet = "/signet"
	bare   = "/bare"
)

func (r *results) writePairs(b *strings.Builder) {
	head := "\nSignet against the bare work underneath: crypto of the standard library, a handler without logic. Times are medians of the rounds; beside the median of the " +
		"per-round ratios stand its quartiles.\n\n" +
		"| | Signet, ns | bare, ns | ratio of medians | median ratio | Signet, allocs | bare, allocs |\n" +
		"|---|--:|--:|--:|--:|--:|--:|\n"
	for _, name := range r.names {
		stem, ok := strings.CutSuffix(name, signet)
		other := r.series[stem+bare]
		if !ok || other == nil {
			continue
		}
		b.WriteString(head)
		head = ""
		one := r.series[name]
		each := stats.Ratios(one.ns, other.ns)
		fmt.Fprintf(b, "| %s | %s | %s | %.3f | %.3f (%.3f–%.3f) | %.0f | %.0f |\n",
			stem, ns(one), ns(other), stats.Median(one.ns)/stats.Median(other.ns),
			stats.Median(each), stats.Quantile(each, 0.25), stats.Quantile(each, 0.75), stats.Median(one.allocs), stats.Median(other.allocs))
	}
}

func (r *results) writeSingles(b *strings.Builder) {
	head := "\n| | ns | allocs |\n|---|--:|--:|\n"
	for _, name := range r.names {
		if r.isPaired(name) {
			continue
		}
		b.WriteString(head)
		head = ""
		fmt.Fprintf(b, "| %s | %s | %.0f |\n", name, ns(r.series[name]), stats.Median(r.series[name].allocs))
	}
}

func (r *results) isPaired(name string) bool {
	if stem, ok := strings.CutSuffix(name, signet); ok {
		return r.series[stem+bare] != nil
	}
	stem, ok := strings.CutSuffix(name, bare)
	return ok && r.series[stem+signet] != nil
}

// ns is the median time with as many digits as mean something.
func ns(s *series) string {
	value := stats.Median(s.ns)
	if value < 100 {
		return strconv.FormatFloat(value, 'f', 1, 64)
	}
	return strconv.FormatFloat(value, 'f', 0, 64)
}
