package pgtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Stop ends the server in good order: sessions are ended, everything is written. A stopped server stays so.
func (s *Server) Stop() {
	s.own().Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process.running() {
		check(s.t, s.process.stop())
	}
}

// Kill ends the server as a crash would: all processes of sessions by SIGKILL, nothing more is written. What was
// committed is there after Restart.
func (s *Server) Kill() {
	s.own().Helper()
	s.close()
}

// Restart starts the server again, on the same port, and returns when it takes connections. One that runs is stopped
// first.
func (s *Server) Restart() {
	s.Stop()
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	check(s.t, s.startOn(s.port))
}

// Pause makes the server hang: its processes stand still, and its port takes connections that nobody answers. Resume
// ends it, as do Stop, Kill and Restart.
func (s *Server) Pause() {
	s.own().Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.process.running() {
		check(s.t, errors.New("the server is not running"))
	}
	check(s.t, s.process.hold())
}

// Resume lets a paused server go on.
func (s *Server) Resume() {
	s.own().Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process.running() {
		s.process.resume()
	}
}

// close is Kill for any server.
func (s *Server) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process.running() {
		s.process.kill()
	}
}

const attempts = 5

// launch starts the server on a port that free finds. Another may take it before the server does; then it tries again.
func (s *Server) launch(free func() (int, error)) (err error) {
	for range attempts {
		if s.port, err = free(); err != nil {
			return err
		}
		err = s.startOn(s.port)
		if err == nil || !strings.Contains(err.Error(), "could not bind") {
			return err
		}
	}
	return err
}

// freePort returns a port below those that systems give to whoever asks for any, so that it is still free at Restart.
func freePort() (port int, err error) {
	for range 100 {
		port = 15000 + rand.IntN(15000)
		var l net.Listener
		if l, err = net.Listen("tcp", loopback(port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("finding a free port: %w", err)
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func (s *Server) address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return loopback(s.port)
}

// startOn starts the server on the port and waits for it. The error has the server's log.
func (s *Server) startOn(port int) error {
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := command(s.bin, "postgres", s.room.dir, s.cred, "-D", s.data(), "-p", strconv.Itoa(port))
	cmd.Stdout, cmd.Stderr = log, log
	process, err := startPostmaster(cmd)
	if err != nil {
		return err
	}
	s.process = process
	if err := process.await(s.data()); err != nil {
		return fmt.Errorf("%w\n%s", err, s.logFrom(0))
	}
	return nil
}

// logIfFailed prints what the server logs from now on, if the test fails.
func (s *Server) logIfFailed(t testing.TB) {
	begin := int64(0)
	if info, err := os.Stat(s.log()); err == nil && s.t == nil {
		begin = info.Size()
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("pgtest: the server's log:\n%s", s.logFrom(begin))
		}
	})
}

const logLimit = 64 << 10

// logFrom returns the log from an offset on, and of a long one its end.
func (s *Server) logFrom(begin int64) string {
	text, err := os.ReadFile(s.log())
	if err != nil {
		return err.Error()
	}
	text = text[min(begin, int64(len(text))):]
	return string(text[max(0, len(text)-logLimit):])
}
