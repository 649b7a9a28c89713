//go:build linux

// Command load compares the issuer with the least that a token endpoint can do, over HTTP, and prints a Markdown table.
// Both servers run on one core and take the same requests in turns; scripts/bench.sh --load builds them and runs it. A
// single answer that is not a token fails the run. It needs Linux, which counts a process's time exactly.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// settings are the command's flags.
type settings struct {
	issuer, bare string // the servers' binaries
	core         string // the core that the servers run on; empty: any
	cpu, date    string // for the heading
	rounds       int
	clients      int
	scale        float64 // of the usual number of requests a round
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, progress io.Writer) error {
	var s settings
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.StringVar(&s.issuer, "issuer", "", "the issuer's binary")
	flags.StringVar(&s.bare, "bare", "", "the bare server's binary")
	flags.StringVar(&s.core, "core", "", "core to run the servers on, with taskset (default: any)")
	flags.StringVar(&s.cpu, "cpu", "unknown", "name of the CPU")
	flags.StringVar(&s.date, "date", "unknown", "day of the measurement")
	flags.IntVar(&s.rounds, "rounds", 11, "how often each side is measured")
	flags.IntVar(&s.clients, "clients", 100_000, "how many clients the servers know, a few hundred of them with keys")
	flags.Float64Var(&s.scale, "scale", 1, "part of the usual number of requests to send in a round")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if s.issuer == "" || s.bare == "" || s.rounds < 1 || s.clients < 2 {
		return errors.New("the binaries, a round and two clients are needed: -issuer FILE -bare FILE")
	}
	return compare(ctx, s, stdout, progress)
}

func compare(ctx context.Context, s settings, stdout, progress io.Writer) error {
	dir, err := os.MkdirTemp("", "load-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	people, err := populate(dir, s.clients)
	if err != nil {
		return err
	}
	signet, err := startIssuer(ctx, s, dir)
	if err != nil {
		return err
	}
	defer signet.Stop()
	bare, err := startBare(ctx, s, dir)
	if err != nil {
		return err
	}
	defer bare.Stop()
	report := &report{settings: s, goVersion: runtime.Version(), limits: signet.limits}
	both, all := [2]*server{signet, bare}, modes(people)
	for _, m := range all {
		for _, side := range both {
			if err := side.checkToken(m); err != nil {
				return fmt.Errorf("%s, %s: %w", m.name, side.Name, err)
			}
		}
	}
	if err := measure(ctx, s, all, both, report, progress); err != nil {
		return err
	}
	return report.write(stdout)
}
