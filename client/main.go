// Command client obtains an access token from the issuer and calls the resource server with it. With no arguments it
// calls http://127.0.0.1:9000/ as the demo client and prints the answer:
//
//	go run ./client
//
// Its commands print a token (token), call with one (call, serve, proxy), look at one (inspect, verify), and examine an
// issuer (check).
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes.
const (
	exitOK            = 0
	exitFailure       = 1
	exitUsage         = 2 // wrong usage or settings: a person has to change something
	exitNotValid      = 3 // the token is not valid
	exitNotAuthorised = 4 // the issuer or the resource server said no
	exitUnreachable   = 5 // the issuer cannot be reached
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program: it returns the exit code and touches nothing but what it is given.
func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	cmd := rootCommand(getenv)
	cmd.SetArgs(args)
	cmd.SetIn(&interruptible{ctx, stdin})
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	if err := cmd.ExecuteContext(ctx); err != nil {
		return report(stderr, err, colorsWanted(getenv)(stderr))
	}
	return exitOK
}
