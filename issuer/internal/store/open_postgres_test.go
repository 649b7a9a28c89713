package store_test

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/signet/issuer/internal/store"
	"example.com/signet/keys/keystest/pgtest"
)

// What a person has to mend is told from what time may.
func TestOpenPostgresCodes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, code string
		away       bool
	}{
		{"wrong password", "28P01", false},
		{"not let in by pg_hba.conf", "28000", false},
		{"no such database", "3D000", false},
		{"a setting that is none", "42704", false},
		{"no right to connect", "42501", false},
		{"too many connections", "53300", true},
		{"ended by the administrator", "57P01", true},
		{"ended by a crash", "57P02", true},
		{"starting up", "57P03", true},
		{"the connection broke", "08006", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db := newSQLite(t)
			db.url = "postgres://signet@" + refuser(t, tt.code) + "/signet?sslmode=disable"
			err := db.refused()
			if errors.Is(err, store.ErrAway) != tt.away || !strings.Contains(err.Error(), tt.code) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// refuser is a PostgreSQL that refuses every connection with a code, for those that cannot be had from a real one at
// will.
func refuser(t *testing.T, code string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	fields := "SFATAL\x00VFATAL\x00C" + code + "\x00Mrefused\x00\x00"
	answer := append(binary.BigEndian.AppendUint32([]byte("E"), uint32(4+len(fields))), fields...)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.ReadFull(conn, make([]byte, 8)) // of the startup message
			_, _ = conn.Write(answer)
			_ = conn.Close()
		}
	}()
	return listener.Addr().String()
}

// The password is read from its file at each connection, and is in no error.
func TestOpenPassword(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	db := newOn(t, server)
	execSuper(t, server, "ALTER ROLE signet PASSWORD 'geheim''s 1'")
	server.WriteFile("pg_hba.conf", "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
	server.Restart()

	file := filepath.Join(t.TempDir(), "password")
	withFile := func(cfg *store.Config) { cfg.PasswordFile = file }
	for name, content := range map[string]string{"another": "falsch", "with a space": "geheim's 1 ", "two lines": "geheim's 1\nx"} {
		must(t, os.WriteFile(file, []byte(content), 0o600))
		err := db.refused(withFile)
		if errors.Is(err, store.ErrAway) || !strings.Contains(err.Error(), "28P01") {
			t.Errorf("%s: %v", name, err)
		}
		if strings.Contains(err.Error(), "falsch") || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: the password is in %v", name, err)
		}
	}
	if err := db.refused(); errors.Is(err, store.ErrAway) {
		t.Errorf("no file: %v", err)
	}
	must(t, os.WriteFile(file, []byte("geheim's 1\r\n"), 0o600))
	s := db.open(withFile)
	must(t, s.AddResource(t.Context(), newResource(orders)))

	execSuper(t, server, "ALTER ROLE signet PASSWORD 'neu'")
	must(t, os.WriteFile(file, []byte("neu\n"), 0o600))
	server.Restart() // which ends all connections
	waitUntil(t, "the new password is used", func() bool { return s.Check(t.Context()) == nil })
}

// execSuper runs a command as the superuser.
func execSuper(t *testing.T, server *pgtest.Server, command string) {
	t.Helper()
	super, err := sql.Open("pgx", server.SuperURL())
	must(t, err)
	_, err = super.ExecContext(t.Context(), command)
	must(t, errors.Join(err, super.Close()))
}

// What is wrong with the address is no fault that goes away, and the error has the code that says which.
func TestOpenWrongDatabase(t *testing.T) {
	t.Parallel()
	db := newPostgres(t)
	name := db.url[strings.LastIndex(db.url, "/")+1:]
	for wrong, code := range map[string]string{
		strings.Replace(db.url, name, "nowhere?sslmode=disable", 1):          "3D000",
		strings.Replace(db.url, "signet@", "nobody@", 1):                     "28000",
		db.url + "&search_path=nowhere":                                      "3F000",
		db.url + "&no_such_setting=1":                                        "42704",
		strings.Replace(db.url, "sslmode=disable", "sslmode=verify-full", 1): "TLS",
	} {
		other := *db
		other.url = wrong
		err := other.refused()
		if !strings.Contains(err.Error(), code) || (code != "TLS" && errors.Is(err, store.ErrAway)) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

// A server that is not there is away, and so is one that stops; while it starts, every try says so.
func TestOpenAway(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	db := newOn(t, server)
	db.seed(db.open())
	server.Stop()
	wantErr(t, db.refused(), store.ErrAway)
	restarted := make(chan struct{})
	go func() {
		defer close(restarted)
		server.Restart()
	}()
	waitUntil(t, "it is there again", func() bool {
		s, err := store.Open(t.Context(), db.config())
		if err != nil {
			wantErr(t, err, store.ErrAway)
			return false
		}
		must(t, s.Close())
		return true
	})
	<-restarted
	server.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := store.Open(ctx, db.config())
	wantErr(t, err, store.ErrAway)
	wantErr(t, err, context.DeadlineExceeded)
	server.Resume()
	wantClients(t, db.open(), "billing")
}

// Without a connection to spare the database is away, and it is not when there is one again.
func TestOutOfConnections(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, "max_connections=8", "superuser_reserved_connections=1")
	db := newOn(t, server)
	s := db.open()
	db.seed(s)
	s.Close()
	late := db.open() // has one connection, and will want more
	others, err := sql.Open("pgx", db.url)
	must(t, err)
	defer func() { _ = others.Close() }()
	var taken []*sql.Conn
	for {
		conn, err := others.Conn(t.Context())
		if err != nil {
			break
		}
		taken = append(taken, conn)
	}
	if len(taken) < 3 {
		t.Fatalf("%d connections", len(taken))
	}
	wantErr(t, db.refused(), store.ErrAway, "53300")
	until := db.clock.Now().Add(time.Hour)
	refused := make(map[string]bool)
	for i := range 8 {
		id := fmt.Sprint(i)
		wantEither(t, func() error { _, err := late.Client(t.Context(), "billing"); return err })
		wantEither(t, func() error {
			_, err := late.Spend(t.Context(), "billing", id, until)
			refused[id] = err != nil
			return err
		})
	}
	for _, conn := range taken {
		_ = conn.Close()
	}
	must(t, others.Close())
	waitUntil(t, "there are connections", func() bool { return late.Check(t.Context()) == nil })
	for id, again := range refused {
		if first := spend(t, late, "billing", id, until); first && !again {
			t.Errorf("%s was accepted twice", id)
		}
	}
	wantClients(t, late, "billing")
}

// wantEither sees that it works, or says that the database is away.
func wantEither(t testing.TB, do func() error) {
	t.Helper()
	if err := do(); err != nil {
		wantErr(t, err, store.ErrAway)
	}
}
