// Package pgtest starts a real PostgreSQL for tests: a cluster of its own in a temporary directory, on a free port of
// loopback, gone when the test ends. Where no PostgreSQL is installed, the test is skipped.
//
//	server := pgtest.Start(t, "max_connections=20") // for a test that stops, kills or pauses it
//	url := pgtest.Shared(t).NewDatabase(t)          // for all the others; see Main
//
// Nothing but a test may import this package.
package pgtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// Server is a running PostgreSQL. Whoever reaches loopback may enter without a password: it is for tests alone. It is
// safe for concurrent use.
type Server struct {
	t    testing.TB          // fails when a method does; nil for the shared server
	bin  string              // the directory of postgres and initdb
	cred *syscall.Credential // whom the processes run as; nil is us
	room *room               // has data/ and log

	mu      sync.Mutex
	port    int         // guarded by mu
	process *postmaster // guarded by mu; the last one started
	names   int         // guarded by mu; how many databases NewDatabase has made
}

// Start starts a server for this test alone and stops it when the test ends. Settings are lines of postgresql.conf,
// such as "max_connections=20"; they win over the kit's own. fsync is off: what was committed outlives [Server.Kill],
// though not the machine. A failed test prints the server's log. It fails the test when the server does not start.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := start(settings)
	check(t, err)
	s.t = t
	t.Cleanup(func() {
		s.close()
		check(t, s.room.remove())
	})
	s.logIfFailed(t)
	return s
}

// check skips the test where there is no PostgreSQL, and fails it for any other error.
func check(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, errNotInstalled) {
		t.Skipf("pgtest: %v", err)
	}
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
}

// start makes a cluster and starts its server.
func start(settings []string) (s *Server, err error) {
	s = new(Server)
	if s.bin, err = findBin(os.Getenv("PATH"), debianBins); err != nil {
		return nil, err
	}
	if s.cred, err = runAs(); err != nil {
		return nil, err
	}
	template, err := newTemplate(s.bin, s.cred)
	if err != nil {
		return nil, err
	}
	if s.room, err = newRoom(s.cred); err != nil {
		return nil, err
	}
	err = template.write(s.data(), settings, s.cred)
	if err == nil {
		err = s.launch(freePort)
	}
	if err != nil {
		return nil, errors.Join(err, s.room.remove())
	}
	return s, nil
}

func (s *Server) data() string { return filepath.Join(s.room.dir, "data") }
func (s *Server) log() string  { return filepath.Join(s.room.dir, "log") }

// URL returns that of the database signet, as the user signet, who owns it and is no superuser.
func (s *Server) URL() string { return s.url("signet", "signet") }

// SuperURL returns that of the same database, as the superuser.
func (s *Server) SuperURL() string { return s.url(superuser, "signet") }

func (s *Server) url(user, database string) string {
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", user, s.address(), database)
}

// NewDatabase makes an empty database, owned by the user signet, and returns its URL as URL does, so that tests in
// parallel do not share tables. The shared server drops it when the test ends, whoever is still connected.
func (s *Server) NewDatabase(t testing.TB) string {
	t.Helper()
	s.mu.Lock()
	s.names++
	name := fmt.Sprintf("signet_%d", s.names)
	s.mu.Unlock()
	check(t, s.execute("CREATE DATABASE "+name+" OWNER signet"))
	if s.t == nil { // any other is removed as a whole
		t.Cleanup(func() { check(t, s.execute("DROP DATABASE "+name+" WITH (FORCE)")) })
	}
	return s.url("signet", name)
}

// WriteFile puts a file into the data directory, for the server alone to read: server.key, pg_hba.conf, or
// postgresql.auto.conf, whose settings win over all others. The server sees it at its next Restart.
func (s *Server) WriteFile(name, content string) {
	s.own().Helper()
	check(s.t, writeFile(filepath.Join(s.data(), name), []byte(content), s.cred))
}

// own returns the test whose server this is.
func (s *Server) own() testing.TB {
	if s.t == nil {
		panic("pgtest: the shared server belongs to all tests: use Start")
	}
	return s.t
}
