//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"example.com/signet/scripts/bench/internal/drive"
	"example.com/signet/scripts/bench/internal/process"
)

// server is one of the two that are compared, running.
type server struct {
	*process.Process
	limits string // the issuer's flags about limits
}

// wantedLimits are limits that are checked at each request and refuse none of them.
var wantedLimits = [][2]string{
	{"--limit-address-rate", "1000000"},
	{"--limit-client-rate", "1000000"},
	{"--limit-in-flight", "512"},
}

func startIssuer(ctx context.Context, s settings, dir string) (*server, error) {
	where := []string{"--keys-dir", filepath.Join(dir, "keys"), "--registry", filepath.Join(dir, registryFile)}
	for _, alg := range []string{"ES256", "RS256"} {
		if err := command(ctx, s, slices.Concat([]string{"keys", "generate", "--alg", alg}, where)...); err != nil {
			return nil, err
		}
	}
	return startIssuerOn(ctx, s, "Signet", dir, where)
}

// command runs a command of the issuer's.
func command(ctx context.Context, s settings, args ...string) error {
	if out, err := exec.CommandContext(ctx, s.issuer, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("issuer %s: %w: %s", args[0], err, out)
	}
	return nil
}

// startIssuerOn starts an issuer with its keys and its registry where the settings say.
func startIssuerOn(ctx context.Context, s settings, name, dir string, where []string) (*server, error) {
	help, err := exec.CommandContext(ctx, s.issuer, "--help").Output()
	if err != nil {
		return nil, fmt.Errorf("asking the issuer for its flags: %w", err)
	}
	limits := limitFlags(string(help))
	args := slices.Concat([]string{s.issuer, "--issuer", issuerID,
		"--listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0",
		"--log-format", "json", "--log-level", "info"}, where, limits)
	p, err := process.Start(ctx, process.Command{Name: name, Dir: dir, Core: s.core, Args: args})
	if err != nil {
		return nil, err
	}
	return &server{p, strings.Join(limits, " ")}, nil
}

// limitFlags returns the wanted limits that this issuer has.
func limitFlags(help string) []string {
	var flags []string
	for _, limit := range wantedLimits {
		if strings.Contains(help, limit[0]+" ") {
			flags = append(flags, limit[:]...)
		}
	}
	return flags
}

func startBare(ctx context.Context, s settings, dir string) (*server, error) {
	args := []string{s.bare, filepath.Join(dir, clientsFile)}
	p, err := process.Start(ctx, process.Command{Name: "bare", Dir: dir, Core: s.core, Args: args})
	if err != nil {
		return nil, err
	}
	return &server{Process: p}, nil
}

// scrape reads the metrics, where there are any, as a collector would.
func (s *server) scrape() error {
	if s.Private == "" {
		return nil
	}
	text, err := get("http://" + s.Private + "/metrics")
	if err == nil && !bytes.Contains(text, []byte("signet_")) {
		err = errors.New("no metric of the issuer's")
	}
	return err
}

// checkLog proves that the issuer has written a line for each request, access log and audit in one, and empties the log
// so that it does not fill the disk.
func (s *server) checkLog(requests int) error {
	if lines := bytes.Count(s.Log(), []byte("\n")); s.Private != "" && lines < requests {
		return fmt.Errorf("%s: %d lines in the log, want one for each of %d requests", s.Name, lines, requests)
	}
	return s.EmptyLog()
}

func get(url string) ([]byte, error) {
	client := http.Client{Timeout: drive.Silence}
	response, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %d: %.200s", url, response.StatusCode, text)
	}
	return text, err
}
