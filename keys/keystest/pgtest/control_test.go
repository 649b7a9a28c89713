package pgtest_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/signet/keys/keystest/pgtest"
)

func logOf(t *testing.T, s *pgtest.Server) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.Dir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const recovered = "automatic recovery in progress"

func TestStop(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t)
	mustPrint(t, s, s.URL(), "CREATE TABLE a (b INT); INSERT INTO a VALUES (7)", "")
	before, all := s.URL(), family(t, s)
	s.Stop()
	mustEnd(t, all)
	mustRefuse(t, s, s.URL(), "SELECT 1", "Connection refused")
	s.Stop() // and nothing happens
	s.Kill()
	s.Resume()
	s.Restart()
	mustPrint(t, s, before, "SELECT * FROM a", "7")
	if strings.Contains(logOf(t, s), recovered) {
		t.Error("it recovered from a crash")
	}
}

func TestRestartOfARunningServer(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t)
	mustPrint(t, s, s.URL(), "CREATE TABLE a (b INT)", "")
	all := family(t, s)
	s.Restart()
	mustEnd(t, all)
	mustPrint(t, s, s.URL(), "SELECT * FROM a", "")
}

// What answers on the port is not the server.
func TestRestartOnATakenPort(t *testing.T) {
	t.Parallel()
	pgtest.Shared(t) // to be skipped where there is none
	r := &recorder{}
	r.run(func(t testing.TB) {
		s := pgtest.Start(t)
		s.Stop()
		u, err := url.Parse(s.URL())
		pgtest.Check(t, err)
		taken, err := net.Listen("tcp", u.Host)
		pgtest.Check(t, err)
		defer func() { _ = taken.Close() }()
		s.Restart()
	})
	if !strings.HasPrefix(r.said, "failed: pgtest: postgres ended: exit status 1\n") ||
		!strings.Contains(r.said, "could not bind") {
		t.Errorf("%q", r.said)
	}
}

// Another may be quicker to take the port that was free.
func TestStartOnATakenPort(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t)
	s.Stop()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	tries := 0
	err = s.Launch(func() (int, error) {
		if tries++; tries < 3 {
			return taken.Addr().(*net.TCPAddr).Port, nil
		}
		return pgtest.FreePort()
	})
	if err != nil || tries != 3 {
		t.Fatalf("%d tries, %v", tries, err)
	}
	mustPrint(t, s, s.URL(), "SELECT 7", "7")
}

func TestKill(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t)
	mustPrint(t, s, s.URL(), "CREATE TABLE a (b INT)", "")
	mustPrint(t, s, s.URL(), "INSERT INTO a VALUES (7)", "")
	open := dial(t, s).ready()
	open.begin("BEGIN; INSERT INTO a VALUES (8); SELECT pg_sleep(600); COMMIT")
	waitUntil(t, "the session sleeps", func() bool {
		got, _ := psql(t, s, s.SuperURL(), "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
		return got == "1"
	})
	all := family(t, s)
	began := time.Now()
	s.Kill()
	mustEnd(t, all)
	if took := time.Since(began); took > 4*time.Second { // when the postmaster itself would lose patience
		t.Errorf("it took %v", took)
	}
	if said := open.within(20 * time.Second); said != "" { // a crash says no goodbye
		t.Errorf("the session's last words: %q", said)
	}
	mustRefuse(t, s, s.URL(), "SELECT 1", "Connection refused")
	s.Restart()
	mustPrint(t, s, s.URL(), "SELECT * FROM a", "7")
	if !strings.Contains(logOf(t, s), recovered) {
		t.Error("it did not recover")
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t)
	old := dial(t, s).ready()
	s.Pause()
	old.begin("SELECT 'old'")
	young := dial(t, s) // the kernel takes the connection
	for name, c := range map[string]*session{"a session": old, "a new session": young} {
		if said := c.within(300 * time.Millisecond); said != "" {
			t.Errorf("%s of a paused server: %q", name, said)
		}
	}
	s.Resume()
	young.begin("SELECT 'young'")
	for want, c := range map[string]*session{"old": old, "young": young} {
		if !c.until(want) {
			t.Errorf("%s: no answer", want)
		}
	}
}

// However a pause ends, no process stands still for ever.
func TestAfterPause(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*pgtest.Server){
		"Stop": (*pgtest.Server).Stop, "Kill": (*pgtest.Server).Kill, "Restart": (*pgtest.Server).Restart,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := pgtest.Start(t)
			all := family(t, s)
			s.Pause()
			s.Pause()
			end(s)
			mustEnd(t, all)
			s.Restart()
			mustPrint(t, s, s.URL(), "SELECT 7", "7")
		})
	}
	t.Run("the test's end", func(t *testing.T) {
		t.Parallel()
		var all []int
		var dir string
		t.Run("", func(t *testing.T) {
			s := pgtest.Start(t)
			s.NewDatabase(t)
			all, dir = family(t, s), s.Dir()
			s.Pause()
		})
		mustEnd(t, all)
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("its directory: %v", err)
		}
	})
	t.Run("of a stopped server", func(t *testing.T) {
		t.Parallel()
		r := &recorder{}
		r.run(func(t testing.TB) {
			s := pgtest.Start(t)
			s.Stop()
			s.Pause()
		})
		if !strings.HasPrefix(r.said, "failed: pgtest: the server is not running") {
			t.Errorf("%q", r.said)
		}
	})
}

// session speaks the protocol by hand, for what psql is too quick.
type session struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

// dial connects as the user signet. Its answers are there to read.
func dial(t *testing.T, s *pgtest.Server) *session {
	t.Helper()
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &session{t, conn, bufio.NewReader(conn)}
	const startup = "\x00\x03\x00\x00user\x00signet\x00database\x00signet\x00\x00"
	c.write(fmt.Sprintf("\x00\x00\x00%c%s", 4+len(startup), startup))
	return c
}

// begin sends a short query.
func (c *session) begin(sql string) { c.write(fmt.Sprintf("Q\x00\x00\x00%c%s\x00", 5+len(sql), sql)) }

func (c *session) write(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// ready reads until the server waits for a query: ReadyForQuery, outside of a transaction.
func (c *session) ready() *session {
	c.t.Helper()
	if !c.until("Z\x00\x00\x00\x05I") {
		c.t.Fatal("no session")
	}
	return c
}

// until reads until the server has said this.
func (c *session) until(want string) bool {
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	var said []byte
	for !strings.Contains(string(said), want) {
		b, err := c.r.ReadByte()
		if err != nil {
			return false
		}
		said = append(said, b)
	}
	return true
}

// within returns what the server says in this time, or until it hangs up.
func (c *session) within(d time.Duration) string {
	_ = c.SetReadDeadline(time.Now().Add(d))
	said, _ := io.ReadAll(c.r)
	return string(said)
}
