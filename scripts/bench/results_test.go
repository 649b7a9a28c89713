package main

import (
	"runtime"
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
pkg: example.com/signet/scripts/bench/verifying
BenchmarkFirst/signet-2   	1	100 ns/op	512 B/op	4 allocs/op
BenchmarkFirst/bare-2     	1	50 ns/op	0 B/op	0 allocs/op
BenchmarkFirst/go-oidc-2  	1	300 ns/op	9000 B/op	90 allocs/op
BenchmarkRefuse/form/signet-2	1	10 ns/op	0 B/op	0 allocs/op
BenchmarkRefuse/form/jwx-2	1	40 ns/op	16 B/op	1 allocs/op
BenchmarkSeen/signet      	1	200 ns/op	0 B/op	0 allocs/op
BenchmarkSeen/signet-2    	1	100 ns/op	8 B/op	1 allocs/op
PASS
goos: linux
goarch: amd64
pkg: example.com/signet/keys
cpu: Some CPU
BenchmarkSign/ES256/signet-2         	    1686	     400 ns/op	    7823 B/op	      71 allocs/op
BenchmarkSign/ES256/bare-2           	    1911	     400 ns/op	    6096 B/op	      62 allocs/op
BenchmarkRefuse/two-segments-2       	 1021268	        57.03 ns/op	       0 B/op	       0 allocs/op
PASS
pkg: example.com/signet/scripts/bench/verifying
BenchmarkFirst/signet-2   	1	200 ns/op	512 B/op	4 allocs/op
BenchmarkFirst/bare-2     	1	100 ns/op	0 B/op	0 allocs/op
BenchmarkFirst/go-oidc-2  	1	200 ns/op	9000 B/op	90 allocs/op
BenchmarkRefuse/form/signet-2	1	10 ns/op	0 B/op	0 allocs/op
BenchmarkRefuse/form/jwx-2	1	60 ns/op	16 B/op	1 allocs/op
BenchmarkSeen/signet      	1	220 ns/op	0 B/op	0 allocs/op
BenchmarkSeen/signet-2    	1	200 ns/op	8 B/op	1 allocs/op
PASS
pkg: example.com/signet/keys
BenchmarkSign/ES256/signet-2         	    1686	     220 ns/op	    7823 B/op	      71 allocs/op
BenchmarkSign/ES256/bare-2           	    1911	     200 ns/op	    6096 B/op	      60 allocs/op
BenchmarkRefuse/two-segments-2       	 1021268	        99 ns/op	       0 B/op	       0 allocs/op
PASS
pkg: example.com/signet/scripts/bench/verifying
BenchmarkFirst/signet-2   	1	100 ns/op	512 B/op	4 allocs/op
BenchmarkFirst/bare-2     	1	100 ns/op	0 B/op	0 allocs/op
BenchmarkFirst/go-oidc-2  	1	200 ns/op	9000 B/op	92 allocs/op
BenchmarkRefuse/form/signet-2	1	10 ns/op	0 B/op	0 allocs/op
BenchmarkRefuse/form/jwx-2	1	50 ns/op	16 B/op	1 allocs/op
BenchmarkSeen/signet      	1	180 ns/op	0 B/op	0 allocs/op
BenchmarkSeen/signet-2    	1	100 ns/op	8 B/op	1 allocs/op
PASS
`

const table = `# Benchmarks

- CPU: Some CPU
- Go: go1
- example.org/a v1.2.3
- example.org/b v2.0.0
- Date: 2026-11-23
- Rounds: 3

Times are medians of the rounds; beside the median of the per-round ratios stand its quartiles.

Signet against the bare work underneath: crypto of the standard library, a handler without logic.

| | Signet, ns | bare, ns | ratio of medians | median ratio | Signet, allocs | bare, allocs |
|---|--:|--:|--:|--:|--:|--:|
| keys Sign/ES256 | 300 | 200 | 1.500 | 1.100 (1.050–2.050) | 71 | 60 |
| verifying First | 100 | 100 | 1.000 | 2.000 (1.500–2.000) | 4 | 0 |

Others against Signet: how many times as long they take for the same.

| | | ns | allocs | octets | ratio of medians | median ratio |
|---|---|--:|--:|--:|--:|--:|
| verifying First | Signet | 100 | 4 | 512 | | |
| | bare | 100 | 0 | 0 | 1.000 | 0.500 (0.500–0.750) |
| | go-oidc | 200 | 90 | 9000 | 2.000 | 2.000 (1.500–2.500) |
| verifying Refuse/form | Signet | 10.0 | 0 | 0 | | |
| | jwx | 50.0 | 1 | 16 | 5.000 | 5.000 (4.500–5.500) |

On several cores at once: the time is that of the whole, divided by what was done in it.

| | cores | ns | allocs | octets | speed-up of medians | median speed-up |
|---|--:|--:|--:|--:|--:|--:|
| verifying Seen/signet | 1 | 200 | 0 | 0 | | |
| | 2 | 100 | 1 | 8 | 2.000 | 1.800 (1.450–1.900) |

| | ns | allocs | octets |
|---|--:|--:|--:|
| keys Refuse/two-segments | 57.2 | 0 | 0 |
`

func TestTable(t *testing.T) {
	var b strings.Builder
	args := []string{"-modules", "example.org/a v1.2.3\nexample.org/b v2.0.0", "-date", "2026-11-23"}
	if err := run(args, strings.NewReader(output), &b); err != nil {
		t.Fatal(err)
	}
	if got := strings.Replace(b.String(), runtime.Version(), "go1", 1); got != table {
		t.Errorf("got:\n%s\nwant:\n%s", got, table)
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
		{"beside one on several cores", "BenchmarkC 1 2 ns/op\nBenchmarkC-2 1 2 ns/op\nBenchmarkA-256-8 1 2 ns/op", " A-256"},
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

func TestScaling(t *testing.T) {
	r, err := parse(strings.NewReader("BenchmarkC 1 8 ns/op\nBenchmarkC-2 1 4 ns/op\nBenchmarkC-4 1 2 ns/op"))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.names) != 0 || len(r.scaling) != 1 {
		t.Fatalf("names are %q, %d on several cores", r.names, len(r.scaling))
	}
	got := r.scaling[0]
	if got.name != " C" || got.one.ns[0] != 8 || len(got.more) != 2 {
		t.Errorf("%+v", got)
	}
	for i, want := range []onCores{{"2", &series{ns: []float64{4}}}, {"4", &series{ns: []float64{2}}}} {
		if got.more[i].cores != want.cores || got.more[i].series.ns[0] != want.series.ns[0] {
			t.Errorf("%s cores: %v", got.more[i].cores, got.more[i].series.ns)
		}
	}
}
