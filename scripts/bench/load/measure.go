//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"example.com/signet/scripts/bench/internal/drive"
	"example.com/signet/scripts/bench/internal/stats"
)

const (
	manyConnections = 16
	turns           = 10 // of each side in a round
)

// sample is one side in one round of one mode.
type sample struct {
	cpu  time.Duration // of the server for a request
	one  time.Duration // median latency at one connection
	many time.Duration // 99th percentile at [manyConnections]
}

// measure runs the rounds. In each, both sides take the same requests of every mode, in turns that last a fraction of a
// second: what slows the machine down for a while slows both down. A round before the first is not counted; it fills
// caches and lets the servers' heaps grow.
func measure(ctx context.Context, s settings, all []mode, both [2]*server, into *report, progress io.Writer) error {
	into.modes = make([]result, len(all))
	for round := range s.rounds + 1 {
		fmt.Fprintf(progress, "round %d of %d\n", round, s.rounds)
		for i, m := range all {
			samples, err := measureRound(ctx, s, m, both)
			if err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			into.modes[i].mode = m
			if round > 0 {
				into.modes[i].add(samples[0], samples[1])
			}
		}
	}
	return nil
}

func measureRound(ctx context.Context, s settings, m mode, both [2]*server) (samples [2]sample, err error) {
	many, err := m.requests(max(1, int(s.scale*float64(m.many))))
	if err != nil {
		return samples, err
	}
	few, err := m.requests(max(1, int(s.scale*float64(m.few))))
	if err != nil {
		return samples, err
	}
	runtime.GC() // now, and not while latencies are taken
	crowd, err := alternate(ctx, both, manyConnections, many)
	if err != nil {
		return samples, err
	}
	alone, err := alternate(ctx, both, 1, few)
	if err != nil {
		return samples, err
	}
	for i := range both {
		samples[i] = sample{
			cpu:  crowd[i].cpu / time.Duration(len(many)),
			one:  stats.Median(alone[i].latencies),
			many: stats.Quantile(crowd[i].latencies, 0.99),
		}
		if err := both[i].checkLog(len(many) + len(few)); err != nil {
			return samples, err
		}
	}
	return samples, nil
}

// tally is what one side took.
type tally struct {
	cpu       time.Duration
	latencies []time.Duration
}

// alternate has both sides take all the requests over so many connections, with one scrape on the way, in turns of
// which now the one and now the other is first.
func alternate(ctx context.Context, both [2]*server, connections int, requests [][]byte) (tallies [2]tally, err error) {
	var drivers [2]*drive.Driver
	for i, s := range both {
		if drivers[i], err = drive.Open(s.Address, connections, connections > 1); err != nil {
			return tallies, err
		}
		defer drivers[i].Close()
	}
	turn := 0
	for slice := range slices.Chunk(requests, max(1, len(requests)/turns)) {
		for k := range both {
			i := (turn + k) % len(both)
			if err := tallies[i].take(ctx, both[i], drivers[i], slice, turn == turns/2); err != nil {
				return tallies, fmt.Errorf("%s: %w", both[i].Name, err)
			}
		}
		turn++
	}
	return tallies, nil
}

func (t *tally) take(ctx context.Context, s *server, d *drive.Driver, requests [][]byte, scrape bool) error {
	before, err := s.CPU()
	if err != nil {
		return err
	}
	if scrape {
		if err := s.scrape(); err != nil {
			return fmt.Errorf("reading metrics: %w", err)
		}
	}
	latencies, err := d.Drive(ctx, requests, isToken)
	if err != nil {
		return err
	}
	after, err := s.CPU()
	t.cpu += after - before
	t.latencies = append(t.latencies, latencies...)
	return err
}
