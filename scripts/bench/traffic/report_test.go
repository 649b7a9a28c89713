//go:build linux

package main

import (
	"strings"
	"testing"
	"time"
)

const wantReport = `## Over HTTP

- Rounds: 3, each with new processes
- Servers: all on core 1 and the load on core 0, GOMAXPROCS=1, running at least 80 % of the time
- Load: 16 connections kept alive

Three servers answer the same requests alike: one does not look at the token (none), one has ` +
	"`bearer.IsAuthorized`" + ` with default settings in front (signet), one checks the signature and nothing else (bare). They take turns. Values are medians of the rounds, ratios the medians of the per-round ratios; beside both stand quartiles.

| traffic | algorithm | server | requests a second | CPU µs a request | beside | ratio | by CPU | wanted | |
|---|---|---|--:|--:|---|--:|--:|--:|---|
| 200 tokens in rotation | ES256 | none | 1000 (1000–1000) | 1000.0 |  |  |  |  |  |
| 200 tokens in rotation | ES256 | signet | 900 (850–950) | 1111.1 | none | 0.900 (0.850–0.950) | 0.900 | ≥ 0.90 | met |
| 200 tokens in rotation | ES256 | bare | 100 (75–100) | 10000.0 | none | 0.100 (0.075–0.100) | 0.100 |  |  |
| every token new | RS256 | none | 1000 (1000–1000) | 800.0 |  |  |  |  |  |
| every token new | RS256 | signet | 92 (91–93) | 10869.6 | bare | 0.900 (0.680–0.920) | 0.900 | ≥ 0.95 | **missed** |
| every token new | RS256 | bare | 100 (100–150) | 10000.0 |  |  |  |  |  |
`

// seriesOf has the given requests in each second, in which the server ran for the part busy.
func seriesOf(busy float64, perSecond ...int) *series {
	s := new(series)
	for _, n := range perSecond {
		s.add(tally{requests: n, wall: time.Second, cpu: time.Duration(busy * float64(time.Second))})
	}
	return s
}

func TestReport(t *testing.T) {
	r := report{settings: settings{core: "1", rounds: 3}, results: []result{
		{traffic: allTraffic[0], pool: pool{alg: "ES256"}, series: map[mode]*series{
			none:   seriesOf(1, 1000, 1000, 1000),
			signet: seriesOf(1, 800, 1000, 900),
			bare:   seriesOf(1, 100, 100, 50),
		}},
		{traffic: allTraffic[1], pool: pool{alg: "RS256"}, series: map[mode]*series{
			none:   seriesOf(0.8, 1000, 1000, 1000),
			signet: seriesOf(1, 90, 92, 94),
			bare:   seriesOf(1, 100, 200, 100),
		}},
	}}
	var b strings.Builder
	if err := r.write(&b); err != nil {
		t.Fatal(err)
	}
	if b.String() != wantReport {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), wantReport)
	}
}

func TestReportOfAnyCore(t *testing.T) {
	var b strings.Builder
	one := seriesOf(1, 1)
	r := report{results: []result{{traffic: allTraffic[0], series: map[mode]*series{none: one, signet: one, bare: one}}}}
	if err := r.write(&b); err != nil {
		t.Fatal(err)
	}
	const want = "- Servers: on any core, GOMAXPROCS=1, running at least 100 % of the time\n"
	if !strings.Contains(b.String(), want) {
		t.Errorf("no %q in:\n%s", want, b.String())
	}
}
