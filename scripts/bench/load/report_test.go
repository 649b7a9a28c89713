//go:build linux

package main

import (
	"strings"
	"testing"
	"time"
)

const µs = time.Microsecond

const loadTable = `# Load

- CPU: Some CPU
- Go: go1
- Date: 2026-11-23
- Rounds: 3
- Clients: 100000
- Limits: none
- Servers: both on core 1, GOMAXPROCS=1

Signet with access log, audit and metrics beside a server without any of them: a router, one SHA-256 or one verification, one signature. Both take the same requests over HTTP in turns. Values are medians of the rounds; beside the median of the per-round ratios stand its quartiles.

| | Signet | bare | median ratio | wanted | |
|---|--:|--:|--:|--:|---|
| X: tokens per second of CPU | 10000 | 12500 | 0.800 (0.650–0.875) | ≥ 0.85 | **missed** |
| X: median at 1 connection, µs | 120 | 100 | 1.200 (1.100–1.250) | ≤ 1.20 | met |
| X: p99 at 16 connections, µs | 1600 | 1000 | 1.600 (1.550–1.650) | ≤ 1.50 | **missed** |
`

func TestReport(t *testing.T) {
	r := report{settings: settings{cpu: "Some CPU", date: "2026-11-23", rounds: 3, clients: 100_000, core: "1"}, goVersion: "go1"}
	m := result{mode: mode{name: "X", wanted: 0.85}}
	m.add(sample{100 * µs, 120 * µs, 1600 * µs}, sample{50 * µs, 100 * µs, 1000 * µs})
	m.add(sample{100 * µs, 100 * µs, 1500 * µs}, sample{80 * µs, 100 * µs, 1000 * µs})
	m.add(sample{100 * µs, 130 * µs, 1700 * µs}, sample{95 * µs, 100 * µs, 1000 * µs})
	r.modes = []result{m}
	var b strings.Builder
	if err := r.write(&b); err != nil {
		t.Fatal(err)
	}
	if b.String() != loadTable {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), loadTable)
	}
}

func TestReportNamesWhatDiffers(t *testing.T) {
	r := report{limits: "--limit-in-flight 512"}
	var b strings.Builder
	if err := r.write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"- Limits: `--limit-in-flight 512`\n", "- Servers: on any core, GOMAXPROCS=1\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, b.String())
		}
	}
}
