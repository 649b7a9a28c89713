//go:build linux

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/signet/keys/keystest/pgtest"
)

// What the issuer's state costs: on SQLite and on PostgreSQL, with few clients and with many. scripts/bench.sh --state
// runs it with all of these; without them it is so small that it only proves to run.
var state struct {
	settings
	report string
	large  int
	soak   time.Duration
}

func TestMain(m *testing.M) {
	flag.StringVar(&state.report, "state.report", "", "file for the table (default: the test's log)")
	flag.IntVar(&state.rounds, "state.rounds", 1, "how often each side is measured")
	flag.IntVar(&state.clients, "state.clients", 40, "clients of the small databases")
	flag.IntVar(&state.large, "state.large", 400, "clients of the large database")
	flag.Float64Var(&state.scale, "state.scale", 0.01, "part of the usual number of requests to send in a round")
	flag.DurationVar(&state.soak, "state.soak", time.Second, "how long memory under load is watched")
	flag.StringVar(&state.core, "state.core", "", "core to run the servers on")
	flag.StringVar(&state.cpu, "state.cpu", "unknown", "name of the CPU")
	flag.StringVar(&state.date, "state.date", "unknown", "day of the measurement")
	flag.Parse()
	os.Exit(m.Run())
}

func TestState(t *testing.T) {
	b := newStateBench(t)
	postgres := pgtest.Start(t, "fsync=on")
	few := state.clients
	sqlite := b.open(t, "SQLite", "sqlite:"+filepath.Join(t.TempDir(), "issuer.db"), b.people[:few])
	small := b.open(t, "PostgreSQL", postgres.NewDatabase(t), b.people[:few])
	large := b.open(t, "PostgreSQL, many", postgres.NewDatabase(t), b.people)

	b.measureStart(t, sqlite)
	idle := b.start(t, sqlite)
	b.measureMemory(t, idle)
	idle.Stop()

	onSQLite, onSmall, onLarge := b.start(t, sqlite), b.start(t, small), b.start(t, large)
	usual := modes(b.people[:few])
	b.compare(t, onSmall, onSQLite, usual[secretMode], 0.95)
	b.compare(t, onSmall, onSQLite, usual[assertionMode], 0)
	b.compare(t, onLarge, onSmall, usual[secretMode], 0.90)
	b.roam(t, onLarge)
	b.write(t)
}

// The modes that are compared, of those that [modes] returns.
const (
	secretMode    = 0
	assertionMode = 2
)

// stateBench is the measurement and what it has found.
type stateBench struct {
	settings
	dir    string
	people []person
	notes  strings.Builder
	rows   strings.Builder
}

func newStateBench(t *testing.T) *stateBench {
	b := &stateBench{settings: state.settings, dir: t.TempDir()}
	b.issuer = filepath.Join(b.dir, "issuer")
	args := []string{"-C", filepath.Join("..", "..", ".."), "build", "-trimpath", "-ldflags=-s -w", "-o", b.issuer, "./issuer"}
	build := exec.Command("go", args...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the issuer: %v: %s", err, out)
	}
	var err error
	if b.people, err = makePeople(state.large, min(state.clients/2, maxKeyClients)); err != nil {
		t.Fatal(err)
	}
	return b
}

// registrySize is how many clients come in one file: the issuer reads no longer ones than 64 MiB.
const registrySize = 100_000

// place is a database with keys and clients, and how an issuer finds it.
type place struct {
	name  string
	where []string
}

func (b *stateBench) open(t *testing.T, name, url string, people []person) place {
	t.Helper()
	master := filepath.Join(b.dir, name+".key")
	at := place{name, []string{"--database", url, "--master-key-file", master}}
	b.command(t, "master-key", "generate", master)
	b.command(t, append([]string{"keys", "generate"}, at.where...)...)
	began := time.Now()
	for part := range slices.Chunk(people, registrySize) {
		registry := filepath.Join(b.dir, name+".yaml")
		if err := writeRegistry(registry, part); err != nil {
			t.Fatal(err)
		}
		b.command(t, append([]string{"registry", "apply", "-f", registry}, at.where...)...)
	}
	b.note("%s: %d clients applied in %.1f s", name, len(people), time.Since(began).Seconds())
	return at
}

func (b *stateBench) command(t *testing.T, args ...string) {
	t.Helper()
	if err := command(t.Context(), b.settings, args...); err != nil {
		t.Fatal(err)
	}
}

func (b *stateBench) start(t *testing.T, at place) *server {
	t.Helper()
	s, err := startIssuerOn(context.WithoutCancel(t.Context()), b.settings, at.name, b.dir, at.where)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// note prints a line as it comes, for whoever waits.
func (b *stateBench) note(format string, args ...any) {
	fmt.Fprintf(&b.notes, "- "+format+"\n", args...)
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
