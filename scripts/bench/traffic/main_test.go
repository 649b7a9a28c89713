//go:build linux

package main

import (
	"bytes"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestMain lets the tests' own binary be the servers.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == serveCommand {
		main()
		return
	}
	os.Exit(m.Run())
}

// The whole comparison, in small: every server, every traffic, the table, the profiles.
func TestCompare(t *testing.T) {
	profiles := t.TempDir()
	var out, progress strings.Builder
	args := []string{"-rounds", "2", "-scale", "0.01", "-profiles", profiles}
	if err := run(t.Context(), args, &out, &progress); err != nil {
		t.Fatal(err)
	}
	const rows = 1 + 2*2*3
	if got := strings.Count(out.String(), "\n| "); got != rows {
		t.Errorf("%d rows, want %d, in:\n%s", got, rows, out.String())
	}
	if got, want := progress.String(), "signing tokens\nround 1 of 2\nround 2 of 2\n"; got != want {
		t.Errorf("progress %q, want %q", got, want)
	}
	files, err := filepath.Glob(filepath.Join(profiles, "*.pprof"))
	if err != nil || len(files) != 2*2*2*3 {
		t.Errorf("profiles %q, %v", files, err)
	}
	if !slices.Contains(files, filepath.Join(profiles, "signet-new-RS256-1.pprof")) {
		t.Errorf("profiles %q", files)
	}
}

func TestRunRefuses(t *testing.T) {
	for _, args := range [][]string{
		{"-rounds", "0"},
		{"-scale", "0"},
		{"-nothing"},
		{"word"},
		{"serve", "-mode", "unknown"},
		{"serve", "-mode", "bare"},
		{"serve", "-mode", "signet"},
	} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}

// Servers of all modes, for the algorithm.
func startTestSides(t *testing.T, scale float64) ([]pool, [][]*side) {
	t.Helper()
	issuer, err := startIssuer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(issuer.close)
	pools, err := issuer.pools(scale)
	if err != nil {
		t.Fatal(err)
	}
	var all [][]*side
	for _, p := range pools {
		m := measurement{dir: t.TempDir(), issuer: issuer}
		sides, err := m.startSides(t.Context(), p, "test")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stopSides(sides) })
		all = append(all, sides)
	}
	return pools, all
}

func TestServersAnswerAlike(t *testing.T) {
	pools, all := startTestSides(t, 0.001)
	for i, p := range pools {
		answers := make(map[mode]string)
		for _, s := range all[i] {
			answers[s.mode] = exchange(t, s.process.Address, p.fresh[0])
		}
		for _, mode := range slices.Sorted(maps.Keys(answers)) {
			if answers[mode] != answers[none] || !strings.HasSuffix(answers[mode], "\r\n\r\n"+welcome) {
				t.Errorf("%s, %s: answered %q, and %q without a guard", p.alg, mode, answers[mode], answers[none])
			}
		}
	}
}

func TestWarmUpProvesThatTokensAreVerified(t *testing.T) {
	pools, all := startTestSides(t, 0.001)
	for i, p := range pools {
		for _, s := range all[i] {
			if err := s.warmUp(t.Context(), p); err != nil {
				t.Errorf("%s: %v", p.alg, err)
			}
			s.mode = map[mode]mode{none: bare, signet: none, bare: none}[s.mode]
			if err := s.warmUp(t.Context(), p); err == nil || !strings.Contains(err.Error(), "sending a forged token") {
				t.Errorf("%s: taken for %s: got %v", p.alg, s.mode, err)
			}
		}
	}
}

func TestRightAnswers(t *testing.T) {
	tests := []struct {
		name             string
		status           int
		body             string
		welcome, refusal bool
	}{
		{"an error", 500, welcome, false, false},
		{"another body", 200, welcome + "\n", false, false},
		{"a refusal", 401, "", false, true},
		{"a refusal of rights", 403, "", false, false},
		{"a welcome", 200, welcome, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := isWelcome(tt.status, []byte(tt.body)); got != tt.welcome {
				t.Errorf("isWelcome: %v", got)
			}
			if got := isRefusal(tt.status, []byte(tt.body)); got != tt.refusal {
				t.Errorf("isRefusal: %v", got)
			}
		})
	}
}

func TestFreshTokensAreNew(t *testing.T) {
	pools, _ := startTestSides(t, 0.01)
	for _, p := range pools {
		rotation, fresh := allTraffic[0].requests(p), allTraffic[1].requests(p)
		seen := make(map[string]bool)
		for _, request := range slices.Concat(p.warmUp, rotation) {
			seen[string(request)] = true
		}
		if len(p.warmUp) != 20 || len(rotation) != 200 || len(seen) != rotating {
			t.Errorf("%s: %d and %d requests of %d tokens", p.alg, len(p.warmUp), len(rotation), len(seen))
		}
		for _, request := range fresh {
			if seen[string(request)] {
				t.Fatalf("%s: a token twice", p.alg)
			}
			seen[string(request)] = true
		}
		if len(fresh) != 60 {
			t.Errorf("%s: %d fresh requests", p.alg, len(fresh))
		}
	}
}

func TestCycle(t *testing.T) {
	got := cycle([][]byte{[]byte("a"), []byte("b")}, 5)
	if string(bytes.Join(got, nil)) != "ababa" {
		t.Errorf("got %q", got)
	}
}
