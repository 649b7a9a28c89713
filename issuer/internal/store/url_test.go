package store_test

import (
	"strings"
	"testing"

	"example.com/signet/issuer/internal/store"
)

const insecure = true

// Only an address that names one place, keeps no secret and is safe on the way is one.
func TestURL(t *testing.T) {
	t.Parallel()
	const (
		ok       = ""
		scheme   = "not a database's address: it begins with sqlite: or postgres://"
		path     = "not a database's address: sqlite: needs the plain path of a file, like sqlite:/var/lib/signet/issuer.db"
		parse    = "not a database's address: it does not parse"
		password = "not a database's address: it has a password in it"
		query    = "not a database's address: its query does not parse"
		proof    = "not a database's address: it lets a server in that does not prove which one it is"
	)
	unproved := func(mode string) string {
		return "not a database's address: sslmode=" + mode + " does not prove which server it is"
	}
	tests := []struct {
		name, url string
		insecure  bool
		want      string
	}{
		{"nothing", "", false, scheme},
		{"no scheme", "issuer.db", false, scheme},
		{"another database", "mysql://host/signet", false, scheme},
		{"scheme in capitals", "SQLITE:issuer.db", false, scheme},
		{"scheme that begins so", "sqlite3:issuer.db", false, scheme},
		{"space before", " sqlite:issuer.db", false, scheme},
		{"libpq's other form", "host=localhost dbname=signet", false, scheme},

		{"no path", "sqlite:", false, path},
		{"two slashes", "sqlite://var/lib/issuer.db", false, path},
		{"three slashes", "sqlite:///var/lib/issuer.db", false, path},
		{"slash at the end", "sqlite:/var/lib/", false, path},
		{"a step up and down", "sqlite:a/../issuer.db", false, path},
		{"a step nowhere", "sqlite:a/./issuer.db", false, path},
		{"nowhere twice", "sqlite:././issuer.db", false, path},
		{"memory", "sqlite::memory:", false, path},
		{"absolute", "sqlite:/var/lib/issuer.db", false, ok},
		{"relative", "sqlite:data/issuer.db", false, ok},
		{"relative, said so", "sqlite:./issuer.db", false, ok},
		{"above this one", "sqlite:../issuer.db", false, ok},
		{"with signs that addresses have", "sqlite:a?b=c&mode=memory#d%20e", false, ok},

		{"no URL", "postgres://host:port/signet", false, parse},
		{"a control character", "postgres://host/signet\x7f", false, parse},
		{"password", "postgres://signet:geheim@localhost/signet", false, password},
		{"password, by the other scheme", "postgresql://signet:geheim@localhost/signet", false, password},
		{"password, insecure", "postgres://signet:geheim@localhost/signet", insecure, password},
		{"empty password", "postgres://signet:@localhost/signet", false, password},
		{"password in the query", "postgres://signet@localhost/signet?password=geheim", false, password},
		{"password, its name encoded", "postgres://signet@localhost/signet?pass%77ord=geheim", false, password},
		{"password of the key", "postgres://signet@localhost/signet?sslpassword=geheim", false, password},

		{"no TLS", "postgres://db.example.com/signet?sslmode=disable", false, unproved("disable")},
		{"perhaps TLS", "postgres://db.example.com/signet?sslmode=prefer", false, unproved("prefer")},
		{"TLS with anybody", "postgres://db.example.com/signet?sslmode=require", false, unproved("require")},
		{"TLS with anybody of that CA", "postgres://db.example.com/signet?sslmode=verify-ca", false, unproved("verify-ca")},
		{"two modes", "postgres://db.example.com/signet?sslmode=disable&sslmode=verify-full", false, unproved("disable")},
		{"mode in capitals", "postgres://db.example.com/signet?sslmode=VERIFY-FULL", false, unproved("VERIFY-FULL")},
		{"a long mode", "postgres://db.example.com/signet?sslmode=" + strings.Repeat("x", 99), false, unproved(strings.Repeat("x", 20))},
		{"a name that begins so", "postgres://localhost.example.com/signet?sslmode=disable", false, unproved("disable")},
		{"an address of the network", "postgres://10.0.0.1/signet?sslmode=disable", false, unproved("disable")},
		{"every address", "postgres://0.0.0.0/signet?sslmode=disable", false, unproved("disable")},
		{"another host in the query", "postgres://localhost/signet?host=db.example.com&sslmode=disable", false, unproved("disable")},
		{"one of two hosts", "postgres:///signet?host=127.0.0.1,db.example.com&sslmode=disable", false, unproved("disable")},
		{"one of two hosts, in front", "postgres://127.0.0.1,db.example.com/signet?sslmode=disable", false, unproved("disable")},
		{"the host is said twice", "postgres:///signet?host=127.0.0.1&host=db.example.com&sslmode=disable", false, unproved("disable")},
		{"who knows where", "postgres:///signet?sslmode=disable", false, unproved("disable")},
		{"who knows what service", "postgres:///signet?service=signet&sslmode=disable", false, unproved("disable")},

		{"two modes, the last of which counts", "postgres://db.example.com/x?sslmode=verify-full&sslmode=disable", false, proof},
		{"a mode by another name", "postgres://db.example.com/x?sslmode=verify-full&ssl=true", false, proof},
		{"a host that looks like a query", "postgres://localhost?x=@db.example.com/x", false, proof},
		{"a user that looks like a host", "postgres://a@db.example.com,@localhost/x", false, ok}, // it is encoded on the way
		{"a host that looks like a fragment", "postgres://localhost#,db.example.com/x", false, proof},
		{"a host behind a semicolon", "postgres://localhost/x?host=db.example.com,;", false, query},
		{"an escape that is none", "postgres://db.example.com/x?sslrootcert=%zz", false, query},
		{"a host behind a space", "postgres://localhost/x? host=db.example.com", false, proof},

		{"no TLS, and insecure", "postgres://db.example.com/signet?sslmode=disable", insecure, ok},
		{"no mode", "postgres://db.example.com/signet", false, ok},
		{"verified", "postgres://db.example.com:5433/signet?sslmode=verify-full", false, ok},
		{"loopback", "postgres://signet@127.0.0.1:5432/signet?sslmode=disable", false, ok},
		{"another loopback", "postgres://127.9.9.9/signet?sslmode=disable", false, ok},
		{"loopback of IPv6", "postgres://[::1]:5432/signet?sslmode=disable", false, ok},
		{"localhost", "postgresql://localhost/signet?sslmode=disable", false, ok},
		{"a socket", "postgres:///signet?host=/run/postgresql&sslmode=disable", false, ok},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := store.CheckURL(store.Config{URL: tt.url, Insecure: tt.insecure})
			if tt.want == ok {
				must(t, err)
				return
			}
			wantErr(t, err, store.ErrURL)
			if err != nil && err.Error() != tt.want {
				t.Errorf("error %q, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error()+hintOf(err), "geheim") {
				t.Errorf("the password is in %q", err)
			}
		})
	}
}

func TestIsShared(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]bool{
		"sqlite:issuer.db": false, "sqlite:/postgres:": false,
		"postgres://localhost/signet": true, "postgresql://localhost/sqlite:": true,
	} {
		if got := store.IsShared(url); got != want {
			t.Errorf("%s: %v", url, got)
		}
	}
}
