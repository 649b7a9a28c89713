//go:build linux

// Command traffic measures what the guard of a resource server costs over HTTP, and prints a section in Markdown. It
// starts itself as three servers that share one core and answer alike: one that lets every request through unverified,
// one behind Signet's middleware, one that does the bare cryptography. They take the same requests in turns; a single
// wrong answer fails the run. It needs Linux, which counts a process's time exactly.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
)

// settings are the command's flags.
type settings struct {
	core     string // that the servers run on; empty: any
	rounds   int
	scale    float64 // of the usual number of requests a round
	profiles string  // folder for the servers' CPU profiles; empty: none are taken
}

const (
	serveCommand = "serve" // what this program is when it is one of the servers
	loadCore     = "0"     // that the requests come from, when the servers have one of their own
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == serveCommand {
		return serve(ctx, args[1:], stderr)
	}
	var s settings
	flags := flag.NewFlagSet("traffic", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.core, "core", "", "core of the servers, with taskset; the load has core 0 (default: any)")
	flags.IntVar(&s.rounds, "rounds", 7, "how often everything is measured")
	flags.Float64Var(&s.scale, "scale", 1, "part of the usual number of requests to send in a round")
	flags.StringVar(&s.profiles, "profiles", "", "folder to write the servers' CPU profiles to (default: none are taken)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if s.rounds < 1 || s.scale <= 0 || flags.NArg() > 0 {
		return errors.New("a round, some requests and no arguments are wanted: [-core N] [-rounds N] [-scale F]")
	}
	return compare(ctx, s, stdout, stderr)
}

func compare(ctx context.Context, s settings, stdout, progress io.Writer) error {
	dir, err := os.MkdirTemp("", "traffic-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	issuer, err := startIssuer()
	if err != nil {
		return err
	}
	defer issuer.close()
	fmt.Fprintln(progress, "signing tokens")
	pools, err := issuer.pools(s.scale)
	if err != nil {
		return err
	}
	if s.core != "" { // only now: tokens are signed on all cores
		if err := pin(ctx, loadCore); err != nil {
			return err
		}
	}
	m := measurement{settings: s, dir: dir, issuer: issuer, progress: progress}
	results, err := m.run(ctx, pools)
	if err != nil {
		return err
	}
	return report{s, results}.write(stdout)
}

// pin moves all threads of this process to one core.
func pin(ctx context.Context, core string) error {
	self := strconv.Itoa(os.Getpid())
	out, err := exec.CommandContext(ctx, "taskset", "-a", "-c", "-p", core, self).CombinedOutput()
	if err != nil {
		return fmt.Errorf("moving to core %s: %w: %s", core, err, out)
	}
	return nil
}
