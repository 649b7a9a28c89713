package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"example.com/signet/client/tokens"
	"example.com/signet/keys/remote"
)

// failure is an error that knows the program's exit code and what to do next.
type failure struct {
	error
	code int
	hint string
}

func (f *failure) Unwrap() error { return f.error }

// Hint says what to do about the error.
func (f *failure) Hint() string { return f.hint }

func usage(err error, hint string) error { return &failure{err, exitUsage, hint} }

// report prints err and its hint, and returns the exit code.
func report(stderr io.Writer, err error, color bool) int {
	f := explain(err)
	fmt.Fprintf(stderr, "%s %s\n", label("error:", red, color), legible(f.Error()))
	if f.hint != "" {
		fmt.Fprintf(stderr, "%s %s\n", label("hint:", yellow, color), legible(f.hint))
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
	var refused *tokens.RefusedError
	switch {
	case errors.Is(err, context.Canceled): // by Ctrl-C or a signal: nothing that anybody does not know
		return &failure{errors.New("interrupted"), exitFailure, ""}
	case errors.As(err, &f):
		if f.hint == "" {
			return &failure{f.error, f.code, hintOf(f.error)}
		}
		return f
	case errors.Is(err, remote.ErrIssuer):
		return &failure{err, exitFailure, "an issuer has one name: give it as the issuer spells it, if it is the right one"}
	case errors.Is(err, tokens.ErrUnreachable):
		return &failure{err, exitUnreachable,
			"is the issuer running? client check tells more; here it is started by: go run ./issuer"}
	case errors.As(err, &refused) && refused.ClockOff != 0:
		return &failure{err, exitNotAuthorised,
			"set this machine's clock: the issuer takes what we sign for too old, or not yet valid"}
	case errors.Is(err, tokens.ErrRefused):
		return &failure{err, exitNotAuthorised, refusalHint(refused)}
	case errors.Is(err, tokens.ErrCredential):
		return &failure{err, exitUsage, hintOf(err)}
	case errors.Is(err, tokens.ErrAnswer):
		return &failure{err, exitFailure, "is --issuer the address of an issuer? client check examines it"}
	}
	return &failure{err, exitFailure, hintOf(err)}
}

// refusalHint says which settings an OAuth error is about (RFC 6749 §5.2, RFC 8707 §2).
func refusalHint(refused *tokens.RefusedError) string {
	switch {
	case refused != nil && (refused.Code == "invalid_scope" || refused.Code == "invalid_target"):
		return "check --resource and --scope against the issuer's registry"
	case refused != nil && refused.Code == "invalid_client":
		return "check --client-id and the key, secret or assertion against the issuer's registry; its log has the reason"
	}
	return "check --client-id, --key, --resource and --scope against the issuer's registry"
}

// hintOf is what an error says to do about it, or nothing.
func hintOf(err error) string {
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return hinted.Hint()
	}
	return ""
}
