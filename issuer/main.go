// Command issuer signs access tokens for clients that prove who they are, and publishes the public keys that verify
// them. With no arguments it serves on loopback with the keys that scripts/genkeys.sh made:
//
//	go run ./issuer
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2 // wrong usage, settings, keys or registry: a person has to change something
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program: it returns the exit code and touches nothing but what it is given.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	cmd := rootCommand(getenv, stderr)
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	if err := cmd.ExecuteContext(ctx); err != nil {
		return report(stderr, err)
	}
	return exitOK
}

// usageError is an error that a person mends by changing what they gave the program.
type usageError struct {
	error
	hint string
}

func (e *usageError) Unwrap() error { return e.error }
func (e *usageError) Hint() string  { return e.hint }

// report prints err, a line for each error that it joins, and the innermost hint that each carries.
func report(stderr io.Writer, err error) int {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		code := exitOK
		for _, one := range joined.Unwrap() {
			code = max(code, report(stderr, one))
		}
		return code
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if !strings.HasPrefix(line, " ") { // an indented line belongs to the one before
			line = "error: " + line
		}
		fmt.Fprintln(stderr, line)
	}
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(stderr, "hint: %s\n", hint)
	}
	var usage *usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailure
}

func hintOf(err error) (hint string) {
	var hinted interface {
		error
		Hint() string
	}
	for errors.As(err, &hinted) {
		if h := hinted.Hint(); h != "" {
			hint = h
		}
		err = errors.Unwrap(hinted)
	}
	return hint
}
