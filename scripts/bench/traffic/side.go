//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"example.com/signet/scripts/bench/internal/drive"
	"example.com/signet/scripts/bench/internal/process"
)

const connections = 16

// side is one of the servers, running, and the connections to it.
type side struct {
	mode    mode
	process *process.Process
	driver  *drive.Driver
	tally   tally
}

// tally is what a side took for its requests.
type tally struct {
	requests  int
	wall, cpu time.Duration
}

// startSides starts a server of each mode for one algorithm. Name tells the profiles of a round apart from others.
func (m *measurement) startSides(ctx context.Context, p pool, name string) (sides []*side, err error) {
	defer func() {
		if err != nil {
			stopSides(sides)
			sides = nil
		}
	}()
	public, err := m.issuer.signers[p.alg].Public().MarshalPEM()
	if err != nil {
		return nil, err
	}
	key := filepath.Join(m.dir, "key.pem")
	if err := os.WriteFile(key, public, 0o600); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	for _, mode := range allModes {
		args := []string{self, serveCommand, "-mode", string(mode), "-issuer", m.issuer.url, "-key", key}
		if m.profiles != "" {
			args = append(args, "-profile", filepath.Join(m.profiles, string(mode)+"-"+name+".pprof"))
		}
		s := &side{mode: mode}
		command := process.Command{Name: string(mode), Dir: m.dir, Core: m.core, Args: args}
		if s.process, err = process.Start(ctx, command); err != nil {
			return sides, err
		}
		sides = append(sides, s)
		if s.driver, err = drive.Open(s.process.Address, connections, true); err != nil {
			return sides, err
		}
	}
	return sides, nil
}

func stopSides(sides []*side) {
	for _, s := range sides {
		if s.driver != nil {
			s.driver.Close()
		}
		s.process.Stop()
	}
}

func isWelcome(status int, body []byte) bool {
	return status == http.StatusOK && bytes.Equal(body, []byte(welcome))
}

func isRefusal(status int, _ []byte) bool { return status == http.StatusUnauthorized }

// warmUp lets the server fetch its keys and its heap grow, and proves that it verifies, or that it does not.
func (s *side) warmUp(ctx context.Context, p pool) error {
	isRight := isRefusal
	if s.mode == none {
		isRight = isWelcome
	}
	if _, err := s.driver.Drive(ctx, p.warmUp, isWelcome); err != nil {
		return fmt.Errorf("%s: warming up: %w", s.mode, err)
	}
	if _, err := s.driver.Drive(ctx, [][]byte{p.forged}, isRight); err != nil {
		return fmt.Errorf("%s: sending a forged token: %w", s.mode, err)
	}
	return nil
}

// take drives the requests and adds what they cost to the tally.
func (s *side) take(ctx context.Context, requests [][]byte) error {
	before, err := s.process.CPU()
	if err != nil {
		return err
	}
	start := time.Now()
	if _, err := s.driver.Drive(ctx, requests, isWelcome); err != nil {
		return fmt.Errorf("%s: %w", s.mode, err)
	}
	s.tally.wall += time.Since(start)
	after, err := s.process.CPU()
	s.tally.cpu += after - before
	s.tally.requests += len(requests)
	return err
}
