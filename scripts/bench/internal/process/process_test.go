//go:build linux

package process_test

import (
	"context"
	"testing"

	"example.com/signet/scripts/bench/internal/process"
)

// startShell starts a shell in the place of a server.
func startShell(t *testing.T, ctx context.Context, script string) (*process.Process, error) {
	t.Helper()
	command := process.Command{Name: "shell", Dir: t.TempDir(), Args: []string{"sh", "-c", script}}
	p, err := process.Start(ctx, command)
	if err == nil {
		t.Cleanup(p.Stop)
	}
	return p, err
}

func TestStart(t *testing.T) {
	p, err := startShell(t, t.Context(), `
		echo "GOMAXPROCS=$GOMAXPROCS" >&2
		echo '{"listen":"127.0.0.1:1","private_listen":"127.0.0.1:2"}' >&2
		exec sleep 60`)
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "shell" || p.Address != "127.0.0.1:1" || p.Private != "127.0.0.1:2" {
		t.Errorf("got %q at %q and %q", p.Name, p.Address, p.Private)
	}
	const want = "GOMAXPROCS=1\n" + `{"listen":"127.0.0.1:1","private_listen":"127.0.0.1:2"}` + "\n"
	if got := string(p.Log()); got != want {
		t.Errorf("log %q, want %q", got, want)
	}
	if err := p.EmptyLog(); err != nil || len(p.Log()) != 0 {
		t.Errorf("emptying the log: %v, left %q", err, p.Log())
	}
	if cpu, err := p.CPU(); err != nil || cpu <= 0 {
		t.Errorf("CPU %v, %v", cpu, err)
	}
}

func TestServerThatEnds(t *testing.T) {
	_, err := startShell(t, t.Context(), "echo why >&2; exit 3")
	if err == nil || err.Error() != "shell ended: exit status 3: why\n" {
		t.Errorf("got %v", err)
	}
}

func TestServerEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, err := startShell(t, ctx, `echo '{"listen":"a:1"}' >&2; exec sleep 60`)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	p.Stop()
	if _, err := p.CPU(); err == nil {
		t.Error("it still runs")
	}
}

func TestResident(t *testing.T) {
	p, err := startShell(t, t.Context(), `echo '{"listen":"127.0.0.1:1"}' >&2; exec sleep 60`)
	if err != nil {
		t.Fatal(err)
	}
	octets, err := p.Resident()
	if err != nil || octets < 100_000 || octets > 100_000_000 {
		t.Errorf("a sleeping program has %d octets in memory, %v", octets, err)
	}
}
