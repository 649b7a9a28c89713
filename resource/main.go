// Command resource is the protected API: it answers requests whose access token the issuer signed for it. With no
// arguments it serves on 127.0.0.1:9000 and trusts the issuer on 127.0.0.1:8080:
//
//	go run ./resource
//
// With --upstream it stands in front of an application that knows nothing of tokens, and passes authorised requests on.
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
	exitUsage   = 2 // wrong usage or settings: a person has to change something
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
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(stderr, "error: %s\n", line)
	}
	var usage *usageError
	if !errors.As(err, &usage) {
		return exitFailure
	}
	fmt.Fprintf(stderr, "hint: %s\n", usage.hint)
	return exitUsage
}

// usageError is an error that a person mends by changing what they gave the program.
type usageError struct {
	error
	hint string
}

func (e *usageError) Unwrap() error { return e.error }
