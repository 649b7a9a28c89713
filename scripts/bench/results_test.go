package main

import (
	"strings"
	"testing"
)

const output = `goos: linux
goarch: amd64
pkg: example.com/signet/keys
cpu: Some CPU
BenchmarkSign/ES256/signet-2         	    1686	     300 ns/op	    7823 B/op	      71 allocs/op
BenchmarkSign/ES256/bare-2           	    1911	     100 ns/op	    6096 B/op	      60 allocs/op
BenchmarkRefuse/two-segments-2       	 1021268	        57.23 ns/op	       0 B/op	       0 allocs/op
PASS
goos: linux
goarch: amd64
pkg: example.com/signet/keys
cpu: Some CPU
BenchmarkSign/ES256/signet-2         	    1686	     400 ns/op	    7823 B/op	      71 allocs/op
BenchmarkSign/ES256/bare-2           	    1911	     400 ns/op	    6096 B/op	      62 allocs/op
BenchmarkRefuse/two-segments-2       	 1021268	        57.03 ns/op	       0 B/op	       0 allocs/op
PASS
pkg: example.com/signet/keys
BenchmarkSign/ES256/signet-2         	    1686	     220 ns/op	    7823 B/op	      71 allocs/op
BenchmarkSign/ES256/bare-2           	    1911	     200 ns/op	    6096 B/op	      60 allocs/op
BenchmarkRefuse/two-segments-2       	 1021268	        99 ns/op	       0 B/op	       0 allocs/op
PASS
`

const table = `# Benchmarks

- CPU: Some CPU
- Go: go1
- jwx: v2
- Date: 2026-11-23
- Rounds: 3

Signet against the bare work underneath: crypto of the standard library, a handler without logic. Times are medians of the rounds; beside the median of the per-round ratios stand its quartiles.

| | Signet, ns | bare, ns | ratio of medians | median ratio | Signet, allocs | bare, allocs |
|---|--:|--:|--:|--:|--:|--:|
| keys Sign/ES256 | 300 | 200 | 1.500 | 1.100 (1.050–2.050) | 71 | 60 |

| | ns | allocs |
|---|--:|--:|
| keys Refuse/two-segments | 57.2 | 0 |
`

func TestTable(t *testing.T) {
	r, err := parse(strings.NewReader(output))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := r.write(&b, heading{goVersion: "go1", jwx: "v2", date: "2026-11-23"}); err != nil {
		t.Fatal(err)
	}
	if b.String() != table {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), table)
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ name, input, want string }{
		{"nothing", "", "no benchmark in the input"},
		{"a failure", "BenchmarkA 1 2 ns/op\n--- FAIL: BenchmarkB", "a benchmark failed"},
		{"a damaged line", "BenchmarkA 1 2", `parsing "BenchmarkA 1 2": not a benchmark's line`},
		{"no number", "BenchmarkA 1 x ns/op", `parsing "BenchmarkA 1 x ns/op": strconv.ParseFloat: parsing "x": invalid syntax`},
		{"rounds that differ", "BenchmarkA 1 2 ns/op\nBenchmarkB 1 2 ns/op\nBenchmarkA 1 2 ns/op", " B ran 1 times,  A 2 times"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := parse(strings.NewReader(tt.input)); err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestNamesWithNumbers(t *testing.T) {
	tests := []struct{ name, input, want string }{
		{"GOMAXPROCS is 1", "BenchmarkA-256 1 2 ns/op\nBenchmarkB 1 2 ns/op", " A-256"},
		{"GOMAXPROCS is 8", "BenchmarkA-256-8 1 2 ns/op\nBenchmarkB-8 1 2 ns/op", " A-256"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := parse(strings.NewReader(tt.input))
			if err != nil {
				t.Fatal(err)
			}
			if r.names[0] != tt.want || r.series[tt.want] == nil {
				t.Errorf("names are %q", r.names)
			}
		})
	}
}
