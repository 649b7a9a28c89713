//go:build linux

package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"example.com/signet/scripts/bench/internal/stats"
)

// Latencies that are wanted, as multiples of the bare server's.
const (
	wantedOne  = 1.2
	wantedMany = 1.5
)

// report is all that was measured, and what its reader must know besides.
type report struct {
	settings
	goVersion string
	limits    string
	modes     []result
}

// result is a mode's measurements, one a round.
type result struct {
	mode
	signet, bare side
}

type side struct {
	tokens    []float64 // per second of the server's CPU
	one, many []float64 // microseconds
}

func (r *result) add(signet, bare sample) {
	r.signet.add(signet)
	r.bare.add(bare)
}

func (s *side) add(one sample) {
	s.tokens = append(s.tokens, float64(time.Second)/float64(one.cpu))
	s.one = append(s.one, one.one.Seconds()*1e6)
	s.many = append(s.many, one.many.Seconds()*1e6)
}

func (r *report) write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Load\n\n- CPU: %s\n- Go: %s\n- Date: %s\n", r.cpu, r.goVersion, r.date)
	fmt.Fprintf(&b, "- Rounds: %d\n- Clients: %d\n- Limits: %s\n", r.rounds, r.clients, orNone(r.limits))
	fmt.Fprintf(&b, "- Servers: %s, GOMAXPROCS=1\n", r.placement())
	b.WriteString("\nSignet with access log, audit and metrics beside a server without any of them: a router, " +
		"one SHA-256 or one verification, one signature. Both take the same requests over HTTP in turns. Values " +
		"are medians of the rounds; beside the median of the per-round ratios stand its quartiles.\n\n" +
		"| | Signet | bare | median ratio | wanted | |\n|---|--:|--:|--:|--:|---|\n")
	for _, m := range r.modes {
		m.write(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return "`" + text + "`"
}

func (r *report) placement() string {
	if r.core == "" {
		return "on any core"
	}
	return "both on core " + r.core
}

func (r *result) write(b *strings.Builder) {
	row := func(what string, signet, bare []float64, sign string, wanted float64) {
		ratios := stats.Ratios(signet, bare)
		ratio := stats.Median(ratios)
		met := ratio >= wanted
		if sign == "≤" {
			met = ratio <= wanted
		}
		verdict := "met"
		if !met {
			verdict = "**missed**"
		}
		fmt.Fprintf(b, "| %s: %s | %.0f | %.0f | %.3f (%.3f–%.3f) | %s %.2f | %s |\n", r.name, what,
			stats.Median(signet), stats.Median(bare),
			ratio, stats.Quantile(ratios, 0.25), stats.Quantile(ratios, 0.75), sign, wanted, verdict)
	}
	row("tokens per second of CPU", r.signet.tokens, r.bare.tokens, "≥", r.wanted)
	row("median at 1 connection, µs", r.signet.one, r.bare.one, "≤", wantedOne)
	row(fmt.Sprintf("p99 at %d connections, µs", manyConnections), r.signet.many, r.bare.many, "≤", wantedMany)
}
