package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"example.com/signet/scripts/bench/internal/stats"
)

// heading is what the tables' reader must know of the measurement besides its numbers.
type heading struct {
	goVersion string
	modules   []string // path and version
	date      string
}

// write prints the tables: the pairs, the groups, what ran on several cores, then what stands alone.
func (r *results) write(w io.Writer, h heading) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Benchmarks\n\n- CPU: %s\n- Go: %s\n", r.cpu, h.goVersion)
	for _, module := range h.modules {
		fmt.Fprintf(&b, "- %s\n", module)
	}
	fmt.Fprintf(&b, "- Date: %s\n- Rounds: %d\n\n", h.date, r.rounds)
	b.WriteString("Times are medians of the rounds; beside the median of the per-round ratios stand its quartiles.\n")
	r.writePairs(&b)
	r.writeGroups(&b)
	r.writeScaling(&b)
	r.writeSingles(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

const (
	signet = "/signet"
	bare   = "/bare"
)

func (r *results) writePairs(b *strings.Builder) {
	head := "\nSignet against the bare work underneath: crypto of the standard library, a handler without logic.\n\n" +
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
		fmt.Fprintf(b, "| %s | %s | %s | %s | %.0f | %.0f |\n",
			stem, ns(one), ns(other), ratios(one, other), stats.Median(one.allocs), stats.Median(other.allocs))
	}
}

// writeGroups prints what has more beside it than bare work. A ratio above 1 is how many times as long the other takes.
func (r *results) writeGroups(b *strings.Builder) {
	head := "\nOthers against Signet: how many times as long they take for the same.\n\n" +
		"| | | ns | allocs | octets | ratio of medians | median ratio |\n|---|---|--:|--:|--:|--:|--:|\n"
	for _, name := range r.names {
		stem, ok := strings.CutSuffix(name, signet)
		if !ok || !r.isGroup(stem) {
			continue
		}
		b.WriteString(head)
		head = ""
		one := r.series[name]
		fmt.Fprintf(b, "| %s | Signet | %s | | |\n", stem, figures(one))
		for _, member := range r.members(stem) {
			other := r.series[stem+"/"+member]
			fmt.Fprintf(b, "| | %s | %s | %s |\n", member, figures(other), ratios(other, one))
		}
	}
}

// members are the names of those that stand beside stem/signet.
func (r *results) members(stem string) (members []string) {
	for _, name := range r.names {
		member, ok := strings.CutPrefix(name, stem+"/")
		if ok && !strings.Contains(member, "/") && "/"+member != signet {
			members = append(members, member)
		}
	}
	return members
}

func (r *results) isGroup(stem string) bool {
	members := r.members(stem)
	return r.series[stem+signet] != nil && (len(members) > 1 || len(members) == 1 && "/"+members[0] != bare)
}

func (r *results) writeScaling(b *strings.Builder) {
	head := "\nOn several cores at once: the time is that of the whole, divided by what was done in it.\n\n" +
		"| | cores | ns | allocs | octets | speed-up of medians | median speed-up |\n|---|--:|--:|--:|--:|--:|--:|\n"
	for _, s := range r.scaling {
		b.WriteString(head)
		head = ""
		fmt.Fprintf(b, "| %s | 1 | %s | | |\n", s.name, figures(s.one))
		for _, more := range s.more {
			fmt.Fprintf(b, "| | %s | %s | %s |\n", more.cores, figures(more.series), ratios(s.one, more.series))
		}
	}
}

func (r *results) writeSingles(b *strings.Builder) {
	head := "\n| | ns | allocs | octets |\n|---|--:|--:|--:|\n"
	for _, name := range r.names {
		if r.isCompared(name) {
			continue
		}
		b.WriteString(head)
		head = ""
		fmt.Fprintf(b, "| %s | %s |\n", name, figures(r.series[name]))
	}
}

// isCompared reports whether the benchmark is in one of the tables of comparisons.
func (r *results) isCompared(name string) bool {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return false
	}
	stem, member := name[:i], name[i:]
	isPaired := r.series[stem+signet] != nil && r.series[stem+bare] != nil && (member == signet || member == bare)
	return isPaired || r.isGroup(stem)
}

// figures are the cells of time, allocations and octets.
func figures(s *series) string {
	return fmt.Sprintf("%s | %.0f | %.0f", ns(s), stats.Median(s.allocs), stats.Median(s.octets))
}

// ratios are the cells of how one side stands to the other: of the medians, and round by round.
func ratios(over, under *series) string {
	each := stats.Ratios(over.ns, under.ns)
	return fmt.Sprintf("%.3f | %.3f (%.3f–%.3f)", stats.Median(over.ns)/stats.Median(under.ns),
		stats.Median(each), stats.Quantile(each, 0.25), stats.Quantile(each, 0.75))
}

// ns is the median time with as many digits as mean something.
func ns(s *series) string {
	value := stats.Median(s.ns)
	if value < 100 {
		return strconv.FormatFloat(value, 'f', 1, 64)
	}
	return strconv.FormatFloat(value, 'f', 0, 64)
}
