//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/pprof"

	"example.com/signet/resource/bearer"
	"example.com/signet/resource/verify"
)

// mode is what a server does with the token of a request before it answers.
type mode string

const (
	none   mode = "none"   // nothing
	signet mode = "signet" // Signet's middleware, as it comes
	bare   mode = "bare"   // the signature and nothing else
)

var allModes = []mode{none, signet, bare}

// server is the settings of one of the servers.
type server struct {
	mode    mode
	issuer  string // of the tokens that signet takes
	key     string // file of the public key that bare verifies with
	profile string // file for the CPU profile; empty: none
}

// serve is one of the servers, until ctx ends. It says where it listens as package process wants it.
func serve(ctx context.Context, args []string, stderr io.Writer) error {
	var s server
	flags := flag.NewFlagSet(serveCommand, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar((*string)(&s.mode), "mode", "", "what to do with tokens: none, signet or bare")
	flags.StringVar(&s.issuer, "issuer", "", "issuer of the tokens")
	flags.StringVar(&s.key, "key", "", "file of the public key in PEM")
	flags.StringVar(&s.profile, "profile", "", "file to write a CPU profile to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	handler, stop, err := s.handler()
	if err != nil {
		return err
	}
	defer stop()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "{\"listen\":%q}\n", listener.Addr())
	return s.profiled(func() error { return serveUntil(ctx, listener, handler) })
}

// handler returns the handler of the mode, and what ends it.
func (s server) handler() (h http.Handler, stop func(), err error) {
	switch s.mode {
	case none:
		return alike(http.HandlerFunc(answer)), func() {}, nil
	case signet:
		verifier, err := verify.New(verify.Config{Issuer: s.issuer, Audience: audience})
		if err != nil {
			return nil, nil, err
		}
		return bearer.IsAuthorized(verifier)(http.HandlerFunc(answer)), verifier.Close, nil
	case bare:
		key, err := readKey(s.key)
		if err != nil {
			return nil, nil, err
		}
		return alike(verifyBare(key, http.HandlerFunc(answer))), func() {}, nil
	}
	return nil, nil, fmt.Errorf("no mode %q", string(s.mode))
}

const welcome = `{"orders":[]}`

func answer(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, welcome)
}

// alike adds the headers that Signet's middleware adds, so that all servers write the same answers.
func alike(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Vary", "Authorization, Token")
		next.ServeHTTP(w, r)
	})
}

// serveUntil serves until ctx ends. The server has no timeouts: what they cost would be the same in every mode, and make
// the guard look cheaper.
func serveUntil(ctx context.Context, listener net.Listener, handler http.Handler) error {
	s := http.Server{Handler: handler}
	defer context.AfterFunc(ctx, func() { _ = s.Close() })()
	if err := s.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// profiled runs f and takes its CPU profile, where one is wanted.
func (s server) profiled(f func() error) error {
	if s.profile == "" {
		return f()
	}
	file, err := os.Create(s.profile)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return errors.Join(err, file.Close())
	}
	err = f()
	pprof.StopCPUProfile()
	return errors.Join(err, file.Close())
}
