// Command client obtains an access token from the issuer and calls the resource server with it. With no arguments it
// calls http://127.0.0.1:9000/ as the demo client and prints the answer:
//
//	go run ./client
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
	"unicode"

	"example.com/signet/client/tokens"
)

// Exit codes.
const (
	exitOK            = 0
	exitFailure       = 1
	exitUsage         = 2 // wrong usage or settings: a person has to change something
	exitNotValid      = 3 // the token that was inspected is not valid
	exitNotAuthorised = 4 // the issuer or the resource server said no
	exitUnreachable   = 5 // the issuer cannot be reached
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program: it returns the exit code and touches nothing but what it is given.
func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	cmd := rootCommand(getenv)
	cmd.SetArgs(args)
	cmd.SetIn(stdin)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	if err := cmd.ExecuteContext(ctx); err != nil {
		return report(stderr, err)
	}
	return exitOK
}

// failure is an error that knows the program's exit code and what to do next.
type failure struct {
	error
	code int
	hint string
}

func (f *failure) Unwrap() error { return f.error }
func (f *failure) Hint() string  { return f.hint }

func usage(err error, hint string) error { return &failure{err, exitUsage, hint} }

// report prints err and its hint, and returns the exit code.
func report(stderr io.Writer, err error) int {
	f := explain(err)
	fmt.Fprintf(stderr, "error: %s\n", legible(f.Error()))
	if f.hint != "" {
		fmt.Fprintf(stderr, "hint: %s\n", f.hint)
	}
	return f.code
}

// legible replaces what a terminal would obey and nobody would see. Texts of others are quoted where they come in; this
// is for those that no one thought of.
func legible(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// explain finds code and hint for err.
func explain(err error) *failure {
	var f *failure
	var hinted interface{ Hint() string }
	switch {
	case errors.As(err, &f):
		var inner interface{ Hint() string }
		if f.hint == "" && errors.As(f.error, &inner) {
			return &failure{f.error, f.code, inner.Hint()}
		}
		return f
	case errors.Is(err, tokens.ErrUnreachable):
		return &failure{err, exitUnreachable, "is the issuer running? start it: go run ./issuer (or name another with --issuer)"}
	case errors.Is(err, tokens.ErrRefused):
		return &failure{err, exitNotAuthorised, "check --client-id, --key, --resource and --scope against the issuer's registry"}
	case errors.As(err, &hinted):
		return &failure{err, exitFailure, hinted.Hint()}
	}
	return &failure{err, exitFailure, ""}
}
