//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
)

// traffic is a way of sending tokens, and how fast Signet shall be then.
type traffic struct {
	name      string
	short     string // in the names of profiles
	yardstick mode   // that Signet is held against
	wanted    float64
	requests  func(pool) [][]byte
}

var allTraffic = []traffic{
	{"200 tokens in rotation", "rotation", none, 0.90, func(p pool) [][]byte { return p.rotation }},
	{"every token new", "new", bare, 0.95, func(p pool) [][]byte { return p.fresh }},
}

// result is what one traffic with one algorithm measured.
type result struct {
	traffic traffic
	pool    pool
	series  map[mode]*series
}

// series has one value a round.
type series struct {
	perSecond []float64 // requests
	cpu       []float64 // microseconds of the server for a request
	busy      []float64 // part of the time that the server ran
}

func (s *series) add(t tally) {
	s.perSecond = append(s.perSecond, float64(t.requests)/t.wall.Seconds())
	s.cpu = append(s.cpu, t.cpu.Seconds()*1e6/float64(t.requests))
	s.busy = append(s.busy, t.cpu.Seconds()/t.wall.Seconds())
}

type measurement struct {
	settings
	dir      string // for what the servers need and write
	issuer   *issuer
	progress io.Writer
}

// run measures everything once a round. The servers live for one traffic of one round, so that what is a new token to
// them is one.
func (m *measurement) run(ctx context.Context, pools []pool) ([]result, error) {
	var results []result
	for _, t := range allTraffic {
		for _, p := range pools {
			r := result{traffic: t, pool: p, series: make(map[mode]*series)}
			for _, mode := range allModes {
				r.series[mode] = new(series)
			}
			results = append(results, r)
		}
	}
	for round := range m.rounds {
		fmt.Fprintf(m.progress, "round %d of %d\n", round+1, m.rounds)
		for _, r := range results {
			if err := m.measure(ctx, r, round); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", r.traffic.name, r.pool.alg, err)
			}
		}
	}
	return results, nil
}

const turnRequests = 2_000 // that a server takes before it is another's turn

// measure has all servers take the same requests in turns of a fraction of a second, of which now the one and now the
// other is first: what slows the machine down for a while slows all of them down.
func (m *measurement) measure(ctx context.Context, r result, round int) error {
	sides, err := m.startSides(ctx, r.pool, fmt.Sprintf("%s-%s-%d", r.traffic.short, r.pool.alg, round))
	if err != nil {
		return err
	}
	defer stopSides(sides)
	for _, s := range sides {
		if err := s.warmUp(ctx, r.pool); err != nil {
			return err
		}
	}
	runtime.GC() // now, and not while it is measured
	requests, turn := r.traffic.requests(r.pool), round
	for slice := range slices.Chunk(requests, turnRequests) {
		for k := range sides {
			if err := sides[(turn+k)%len(sides)].take(ctx, slice); err != nil {
				return err
			}
		}
		turn++
	}
	for _, s := range sides {
		r.series[s.mode].add(s.tally)
	}
	return nil
}
