//go:build linux

package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
	"time"

	"example.com/signet/scripts/bench/internal/drive"
	"example.com/signet/scripts/bench/internal/stats"
)

const mebibyte = 1 << 20

// compare has both sides give tokens for the same requests, in turns. Wanted is the least ratio; 0: none is.
func (b *stateBench) compare(t *testing.T, left, right *server, m mode, wanted float64) {
	t.Helper()
	var sides [2][]float64 // tokens per second of CPU
	for round := range b.rounds + 1 {
		samples, err := measureRound(t.Context(), b.settings, m, [2]*server{left, right})
		if err != nil {
			t.Fatalf("%s: %v", m.name, err)
		}
		for i, one := range samples {
			if round > 0 { // the first fills caches
				sides[i] = append(sides[i], float64(time.Second)/float64(one.cpu))
			}
		}
	}
	ratios := stats.Ratios(sides[0], sides[1])
	ratio, verdict := stats.Median(ratios), ""
	if wanted > 0 {
		verdict = fmt.Sprintf("≥ %.2f, met", wanted)
		if ratio < wanted {
			verdict = fmt.Sprintf("≥ %.2f, **missed**", wanted)
		}
	}
	fmt.Fprintf(&b.rows, "| %s: %s beside %s | %.0f (%s) | %.0f (%s) | %.3f (%.3f–%.3f) | %s |\n", m.name, left.Name, right.Name,
		stats.Median(sides[0]), resident(t, left), stats.Median(sides[1]), resident(t, right),
		ratio, stats.Quantile(ratios, 0.25), stats.Quantile(ratios, 0.75), verdict)
}

func resident(t *testing.T, s *server) string {
	t.Helper()
	octets, err := s.Resident()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%.1f MiB", float64(octets)/mebibyte)
}

// roam lets every request come from another client, so that the cache of clients helps little.
func (b *stateBench) roam(t *testing.T, s *server) {
	t.Helper()
	m := modes(b.people)[secretMode]
	requests, err := m.requests(max(1, int(b.scale*float64(m.many)*float64(b.rounds))))
	if err != nil {
		t.Fatal(err)
	}
	took, waited := b.drive(t, s, requests)
	b.note("%s, each request by another client: %.0f tokens per second of CPU, %.0f a second, then %s",
		s.Name, float64(len(requests))/took.Seconds(), float64(len(requests))/waited.Seconds(), resident(t, s))
}

// drive sends the requests over many connections and returns what the server took of its CPU and of the clock.
func (b *stateBench) drive(t *testing.T, s *server, requests [][]byte) (cpu, clock time.Duration) {
	t.Helper()
	d, err := drive.Open(s.Address, manyConnections, true)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var total tally
	began := time.Now()
	if err := total.take(t.Context(), s, d, requests, false); err != nil {
		t.Fatal(err)
	}
	clock = time.Since(began)
	if err := s.EmptyLog(); err != nil {
		t.Fatal(err)
	}
	return total.cpu, clock
}

// measureMemory watches an issuer that nobody asks, and then one under load.
func (b *stateBench) measureMemory(t *testing.T, s *server) {
	t.Helper()
	time.Sleep(min(state.soak, 10*time.Second)) // what starts behind the first answer is part of it
	idle := resident(t, s)
	all := modes(b.people[:b.clients])
	var levels []float64
	for began := time.Now(); time.Since(began) < state.soak; {
		for _, m := range []mode{all[secretMode], all[assertionMode]} {
			requests, err := m.requests(max(1, int(b.scale*float64(m.few))))
			if err != nil {
				t.Fatal(err)
			}
			b.drive(t, s, requests)
		}
		octets, err := s.Resident()
		if err != nil {
			t.Fatal(err)
		}
		levels = append(levels, float64(octets)/mebibyte)
	}
	half := len(levels) / 2
	b.note("%s: %s in memory idle (wanted at most 24); under load for %v median %.1f MiB, at most %.1f (wanted 40); "+
		"median of the first half %.1f, of the second %.1f", s.Name, idle, state.soak, stats.Median(levels), slices.Max(levels),
		stats.Median(levels[:max(half, 1)]), stats.Median(levels[half:]))
}

const starts = 11

// measureStart measures the time from the start of the program to its first answer, with keys and clients on disk.
func (b *stateBench) measureStart(t *testing.T, at place) {
	t.Helper()
	var took []time.Duration
	for range starts {
		took = append(took, b.startOnce(t, at))
	}
	info, err := os.Stat(b.issuer)
	if err != nil {
		t.Fatal(err)
	}
	b.note("%s: start to the first 200 in %v (median of %d, at most %v; wanted 100ms); the stripped binary has %.1f MB (wanted 22)",
		at.name, stats.Median(took).Round(time.Millisecond/10), starts, slices.Max(took).Round(time.Millisecond/10), float64(info.Size())/1e6)
}

func (b *stateBench) startOnce(t *testing.T, at place) time.Duration {
	t.Helper()
	address := freeAddress(t)
	args := append([]string{"--issuer", issuerID, "--listen", address, "--private-listen", "127.0.0.1:0"}, at.where...)
	cmd := exec.CommandContext(t.Context(), b.issuer, args...)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	for time.Since(began) < drive.Silence {
		resp, err := http.Get("http://" + address + "/.well-known/jwks.json")
		if err != nil {
			runtime.Gosched()
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return time.Since(began)
		}
	}
	t.Fatal("the issuer does not answer")
	return 0
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (b *stateBench) write(t *testing.T) {
	t.Helper()
	text := fmt.Sprintf("# State\n\n- CPU: %s\n- Go: %s\n- Date: %s\n- Rounds: %d\n- Clients: %d and %d\n"+
		"- Issuers on core %q with GOMAXPROCS=1; PostgreSQL, with fsync, on any\n%s\n"+
		"Both sides take the same requests over HTTP in turns. Values are medians of the rounds, in tokens per second of the\n"+
		"issuer's CPU, with its resident memory; beside the median of the per-round ratios stand its quartiles.\n\n"+
		"| | | | ratio | wanted |\n|---|--:|--:|--:|---|\n%s",
		b.cpu, runtime.Version(), b.date, b.rounds, b.clients, len(b.people), b.core, b.notes.String(), b.rows.String())
	if state.report == "" {
		t.Log("\n" + text)
		return
	}
	if err := os.WriteFile(state.report, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
