package main

import (
	"database/sql"

	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite" // the driver
)

// statement does what somebody does by hand to a SQLite database: statement issuer.db 'DELETE FROM signet_keys'.
func statement(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: statement file sql")
	}
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	_, err = db.Exec(args[1])
	ts.Check(err)
}

// line puts the one line of a file into a variable: line secret SECRET.
func line(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: line file variable")
	}
	ts.Setenv(args[1], secretIn(ts, args[0]))
}
