package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// results is what the benchmarks of all rounds printed.
type results struct {
	cpu     string
	rounds  int
	names   []string // in the order of their first appearance
	series  map[string]*series
	scaling []scaling // what ran with several numbers of cores; not among names
}

// scaling is one benchmark on one core and on several.
type scaling struct {
	name string
	one  *series
	more []onCores
}

type onCores struct {
	cores  string
	series *series
}

// series is one benchmark's measurements, one a round.
type series struct {
	ns     []float64
	allocs []float64
	octets []float64
}

// parse reads the output of test binaries run with -test.bench. Names begin with the package's folder.
func parse(r io.Reader) (*results, error) {
	res := &results{series: make(map[string]*series)}
	pkg := ""
	scanner := bufio.NewScanner(r)
	for scanner.Scan() {
		line := scanner.Text()
		if cpu, ok := strings.CutPrefix(line, "cpu: "); ok {
			res.cpu = cpu
		} else if path, ok := strings.CutPrefix(line, "pkg: "); ok {
			pkg = strings.TrimPrefix(strings.TrimPrefix(path, "example.com/signet/"), "scripts/bench/")
		} else if strings.HasPrefix(line, "Benchmark") {
			if err := res.add(pkg, line); err != nil {
				return nil, err
			}
		} else if strings.HasPrefix(line, "--- FAIL") || line == "FAIL" {
			return nil, errors.New("a benchmark failed")
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("reading the benchmarks' output: %w", err)
	}
	if len(res.names) == 0 {
		return nil, errors.New("no benchmark in the input")
	}
	if err := res.checkRounds(); err != nil {
		return nil, err
	}
	res.splitScaling()
	res.trimProcs()
	return res, nil
}

// add reads a line such as "BenchmarkSign/ES256/bare-2  1911  30794 ns/op  6096 B/op  60 allocs/op".
func (r *results) add(pkg, line string) error {
	fields := strings.Fields(line)
	if len(fields) < 4 || len(fields)%2 != 0 {
		return fmt.Errorf("parsing %q: not a benchmark's line", line)
	}
	name := pkg + " " + strings.TrimPrefix(fields[0], "Benchmark")
	s := r.series[name]
	if s == nil {
		s = new(series)
		r.series[name] = s
		r.names = append(r.names, name)
	}
	for i := 2; i < len(fields); i += 2 {
		value, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return fmt.Errorf("parsing %q: %w", line, err)
		}
		switch fields[i+1] {
		case "ns/op":
			s.ns = append(s.ns, value)
		case "allocs/op":
			s.allocs = append(s.allocs, value)
		case "B/op":
			s.octets = append(s.octets, value)
		}
	}
	return nil
}

// splitScaling takes out what ran with -cpu 1,2: the testing package puts GOMAXPROCS behind a name unless it is 1, so
// that there is a Name-2 beside the Name.
func (r *results) splitScaling() {
	index := make(map[string]int)
	for _, name := range r.names {
		suffix := procs(name)
		base := strings.TrimSuffix(name, suffix)
		if suffix == "" || r.series[base] == nil {
			continue
		}
		i, known := index[base]
		if !known {
			i = len(r.scaling)
			index[base] = i
			r.scaling = append(r.scaling, scaling{name: base, one: r.series[base]})
		}
		r.scaling[i].more = append(r.scaling[i].more, onCores{suffix[1:], r.series[name]})
	}
	r.names = slices.DeleteFunc(r.names, func(name string) bool {
		_, onOne := index[name]
		_, onMore := index[strings.TrimSuffix(name, procs(name))]
		return onOne || onMore
	})
}

// trimProcs removes the GOMAXPROCS that the testing package puts behind every name unless it is 1. A number at the end
// of only some names is part of them.
func (r *results) trimProcs() {
	if len(r.names) == 0 {
		return
	}
	suffix := procs(r.names[0])
	if suffix == "" || slices.ContainsFunc(r.names, func(name string) bool { return procs(name) != suffix }) {
		return
	}
	trimmed := make(map[string]*series, len(r.series))
	for i, name := range r.names {
		r.names[i] = strings.TrimSuffix(name, suffix)
		trimmed[r.names[i]] = r.series[name]
	}
	r.series = trimmed
}

// procs returns the "-2" of "Sign-2", or "".
func procs(name string) string {
	i := strings.LastIndexByte(name, '-')
	if i < 0 {
		return ""
	}
	if _, err := strconv.ParseUint(name[i+1:], 10, 16); err != nil {
		return ""
	}
	return name[i:]
}

// checkRounds makes sure that the n-th measurement of each benchmark is of the same round.
func (r *results) checkRounds() error {
	r.rounds = len(r.series[r.names[0]].ns)
	for _, name := range r.names {
		if got := len(r.series[name].ns); got != r.rounds {
			return fmt.Errorf("%s ran %d times, %s %d times", name, got, r.names[0], r.rounds)
		}
	}
	return nil
}
