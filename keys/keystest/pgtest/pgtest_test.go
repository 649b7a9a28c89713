package pgtest_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"example.com/signet/keys/keystest/pgtest"
)

const identity = "SELECT current_user, current_database(), current_setting('is_superuser')"

func TestStart(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, "max_connections = 17", "application_name = 'x y'")
	mustPrint(t, s, s.URL(), identity, "signet|signet|off")
	mustPrint(t, s, s.SuperURL(), identity, "postgres|signet|on")
	mustPrint(t, s, s.URL(), "SHOW max_connections", "17")
	mustPrint(t, s, s.URL(), "CREATE TABLE a (b TEXT); INSERT INTO a VALUES ('ü'); SELECT * FROM a", "ü")
	mustPrint(t, s, s.URL(), "SHOW server_encoding", "UTF8")
	mustPrint(t, s, s.URL(), "SHOW synchronous_commit", "on")
	mustPrint(t, s, s.URL(), "SHOW listen_addresses", "127.0.0.1")
	mustRefuse(t, s, s.URL(), "CREATE ROLE other", "permission denied to create role")
}

// A cluster is as the one before it was at its start.
func TestStartTwice(t *testing.T) {
	t.Parallel()
	a, b := pgtest.Start(t), pgtest.Start(t)
	mustPrint(t, a, a.URL(), "CREATE TABLE a (b TEXT)", "")
	mustPrint(t, b, b.URL(), "CREATE TABLE a (b TEXT)", "")
}

func TestStartWithWrongSetting(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	said := r.run(func(t testing.TB) { pgtest.Start(t, "fsync = perhaps") })
	if !r.failed || !strings.HasPrefix(said, "failed: pgtest: postgres ended: exit status 1\n") ||
		strings.Count(said, `parameter "fsync" requires a Boolean value`) != 1 {
		t.Errorf("%q", said)
	}
}

// PostgreSQL's own variables would change what the server does.
func TestStartWithVariables(t *testing.T) {
	for name, value := range map[string]string{"PGDATA": "/nowhere", "PGPORT": "1", "PGCLIENTENCODING": "LATIN1"} {
		t.Setenv(name, value)
	}
	s := pgtest.Start(t)
	for _, name := range []string{"PGDATA", "PGPORT", "PGCLIENTENCODING"} { // psql heeds them too
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	mustPrint(t, s, s.URL(), "SHOW client_encoding", "UTF8")
}

func TestNewDatabase(t *testing.T) {
	t.Parallel()
	s := pgtest.Shared(t)
	var urls [4]string
	var wait sync.WaitGroup
	for i := range urls {
		wait.Go(func() { urls[i] = s.NewDatabase(t) })
	}
	wait.Wait()
	for i, url := range urls {
		mustPrint(t, s, url, fmt.Sprintf("CREATE TABLE a (b INT); INSERT INTO a VALUES (%d)", i), "")
	}
	for i, url := range urls {
		mustPrint(t, s, url, "SELECT * FROM a", fmt.Sprint(i))
		mustPrint(t, s, url, "SELECT current_user, pg_get_userbyid(datdba) FROM pg_database "+
			"WHERE datname = current_database()", "signet|signet")
	}
}

func TestNewDatabaseIsDropped(t *testing.T) {
	t.Parallel()
	s := pgtest.Shared(t)
	var url string
	t.Run("", func(t *testing.T) { url = s.NewDatabase(t) })
	mustRefuse(t, s, url, "SELECT 1", "does not exist")
}

func TestShared(t *testing.T) {
	t.Parallel()
	s := pgtest.Shared(t)
	if pgtest.Shared(t) != s {
		t.Error("two servers")
	}
	for name, method := range map[string]func(){
		"Stop": s.Stop, "Kill": s.Kill, "Restart": s.Restart, "Pause": s.Pause, "Resume": s.Resume,
		"WriteFile": func() { s.WriteFile("pg_hba.conf", "") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if said := recover(); said != "pgtest: the shared server belongs to all tests: use Start" {
					t.Errorf("%v", said)
				}
			}()
			method()
		})
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	const ready = "database system is ready to accept connections"
	test := func(t testing.TB) { pgtest.Start(t) }
	if said := new(recorder).run(test); said != "" {
		t.Errorf("a test that passed: %q", said)
	}
	if said := (&recorder{failed: true}).run(test); !strings.Contains(said, ready) {
		t.Errorf("a test that failed: %q", said)
	}
	said := (&recorder{failed: true}).run(func(t testing.TB) {
		_ = pgtest.Shared(t).Execute("CREATE DATABASE signet -- of this test")
	})
	if strings.Contains(said, ready) || !strings.Contains(said, "of this test") {
		t.Errorf("a test of the shared server: %q", said)
	}
}

func TestExecute(t *testing.T) {
	t.Parallel()
	err := pgtest.Shared(t).Execute("CREATE DATABASE signet")
	const want = `executing "CREATE DATABASE signet": the server says "database \"signet\" already exists"`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestWriteFile(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t)
	mustPrint(t, s, s.SuperURL(), "ALTER ROLE signet PASSWORD 'right'", "")
	s.WriteFile("pg_hba.conf", "host all postgres all trust\nhost all all all scram-sha-256\n")
	s.WriteFile("postgresql.auto.conf", "work_mem = 5MB\n")
	s.Restart()
	mustRefuse(t, s, strings.Replace(s.URL(), "signet@", "signet:wrong@", 1), "SELECT 1", "password authentication failed")
	mustPrint(t, s, strings.Replace(s.URL(), "signet@", "signet:right@", 1), "SHOW work_mem", "5MB")
}
