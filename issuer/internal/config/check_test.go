package config_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"example.com/signet/issuer/internal/config"
)

// settings are the defaults with args parsed over them.
func settings(t *testing.T, args ...string) *config.Settings {
	t.Helper()
	flags := pflag.NewFlagSet("issuer", pflag.ContinueOnError)
	s := config.Bind(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCheckAccepts(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		args []string
	}{
		{"defaults", nil},
		{"behind a proxy", []string{"--issuer", "https://issuer.example.com", "--registry", "r.yaml"}},
		{"issuer with a path", []string{"--issuer", "https://example.com/auth/one", "--registry", "r.yaml"}},
		{"issuer with a port", []string{"--issuer", "https://example.com:8443", "--registry", "r.yaml"}},
		{"http issuer on loopback", []string{"--issuer", "http://127.0.0.1:8080"}},
		{"http issuer on localhost", []string{"--issuer", "http://localhost:8080"}},
		{"http issuer on IPv6 loopback", []string{"--issuer", "http://[::1]:8080"}},
		{"listen on localhost", []string{"--listen", "localhost:0"}},
		{"listen on IPv6 loopback", []string{"--listen", "[::1]:8080"}},
		{"listen on another loopback address", []string{"--listen", "127.8.8.8:8080"}},
		{"listen on everything, knowing it", []string{"--listen", "0.0.0.0:8080", "--issuer", "https://a.example", "--registry", "r.yaml", "--insecure-http"}},
		{"a public issuer without a registry file", []string{"--issuer", "https://a.example"}},
		{"SQLite with keys in files", []string{"--database", "sqlite:a.db"}},
		{"PostgreSQL with a master key", []string{"--database", "postgres://signet@localhost/signet", "--master-key-file", "m"}},
		{"the ends of the ranges for the database", []string{"--database-connections", "3", "--database-max-stale", "4s",
			"--clients-cache-size", "1"}},
		{"their other ends", []string{"--database-connections", "1000", "--database-max-stale", "24h", "--clients-cache-size", "10000000"}},
		{"the ends of the ranges", []string{"--jwks-max-age", "24h", "--leeway", "5m", "--shutdown-grace", "0s"}},
		{"the other ends", []string{"--jwks-max-age", "1s", "--leeway", "0s"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if err := settings(t, row.args...).Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	const (
		needIssuer = `--issuer is needed when --listen "0.0.0.0:8080" is not loopback`
		plainHTTP  = `--listen "0.0.0.0:8080" is not loopback and would serve plain HTTP: give --tls-cert and --tls-key, name the proxy that speaks TLS with --trusted-proxies, or accept the risk with --insecure-http`
	)
	const masterKey = "--master-key-file is needed with PostgreSQL, where signing keys are kept for all issuers, and never unsealed: " +
		"make it with issuer master-key generate FILE"
	everywhere := []string{"--listen", "0.0.0.0:8080"}
	rows := []struct {
		name string
		args []string
		want string
	}{
		{"listen on everything", everywhere, needIssuer + "\n" + plainHTTP},
		{"with an issuer and a registry", append(everywhere, "--issuer", "https://a.example", "--registry", "r"), plainHTTP},
		{"PostgreSQL without a master key", []string{"--database", "postgres://signet@localhost/signet"}, masterKey},
		{"PostgreSQL by its long name without a master key", []string{"--database", "postgresql:///signet"}, masterKey},
		{"too few connections for a lock", []string{"--database-connections", "2"}, "--database-connections 2 is not from 3 to 1000"},
		{"too many connections", []string{"--database-connections", "1001"}, "--database-connections 1001 is not from 3 to 1000"},
		{"stale before it is read", []string{"--database-max-stale", "-1s"}, "--database-max-stale -1s is not from 4s to 24h"},
		{"stale between two looks", []string{"--database-max-stale", "3999ms"}, "--database-max-stale 3.999s is not from 4s to 24h"},
		{"stale for days", []string{"--database-max-stale", "25h"}, "--database-max-stale 25h0m0s is not from 4s to 24h"},
		{"no clients in memory", []string{"--clients-cache-size", "0"}, "--clients-cache-size 0 is not from 1 to 10000000"},
		{"too many clients in memory", []string{"--clients-cache-size", "10000001"}, "--clients-cache-size 10000001 is not from 1 to 10000000"},
		{"no issuer", append(everywhere, "--registry", "r", "--insecure-http"), needIssuer},
		{"no rotation", []string{"--keys-rotate-every", "0s"}, "--keys-rotate-every 0s is not in whole seconds, 1s or more"},
		{"rotation in fractions", []string{"--keys-rotate-every", "1500ms"}, "--keys-rotate-every 1.5s is not in whole seconds, 1s or more"},
		{"negative", []string{"--keys-retention", "-1s"}, "--keys-publish-ahead 24h0m0s and --keys-retention -1s must not be negative"},
		{"max age too short", []string{"--jwks-max-age", "999ms"}, "--jwks-max-age 999ms is not from 1s to 24h"},
		{"max age too long", []string{"--jwks-max-age", "24h1s"}, "--jwks-max-age 24h0m1s is not from 1s to 24h"},
		{"leeway negative", []string{"--leeway", "-1s"}, "--leeway -1s is not from 0s to 5m"},
		{"leeway too long", []string{"--leeway", "5m1s"}, "--leeway 5m1s is not from 0s to 5m"},
		{"grace negative", []string{"--shutdown-grace", "-1s"}, "--shutdown-grace -1s is negative"},
		{"log format", []string{"--log-format", "xml"}, `--log-format "xml" is not text, json or auto`},
		{"several at once", []string{"--leeway", "1h", "--log-format", ""}, "--leeway 1h0m0s is not from 0s to 5m\n--log-format \"\" is not text, json or auto"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if err := settings(t, row.args...).Check(); err == nil || err.Error() != row.want {
				t.Errorf("error %v\n want %s", err, row.want)
			}
		})
	}
}

// I41: one spelling of an issuer, https, no query, no fragment.
func TestCheckRefusesIssuer(t *testing.T) {
	t.Parallel()
	const (
		notURL   = "not an absolute URL"
		notHTTPS = "not https (http is for loopback only)"
		extra    = "has a query, fragment or user"
		slash    = "ends with a slash"
		spelling = "could be spelled in another way: lower case, no default port, plain path"
	)
	rows := []struct{ name, issuer, want string }{
		{"a word", "issuer", notURL},
		{"a host", "issuer.example.com", notURL},
		{"a path", "/issuer", notURL},
		{"no host", "https://", notURL},
		{"no host but a path", "https:///a", notURL},
		{"opaque", "https:issuer.example.com", notURL},
		{"control character", "https://a.example/\x01", notURL},
		{"http", "http://issuer.example.com", notHTTPS},
		{"http on a name that begins alike", "http://localhost.example.com", notHTTPS},
		{"http on another private address", "http://10.0.0.1:8080", notHTTPS},
		{"ftp", "ftp://issuer.example.com", notHTTPS},
		{"query", "https://a.example?x=1", extra},
		{"empty query", "https://a.example?", extra},
		{"fragment", "https://a.example#x", extra},
		{"empty fragment", "https://a.example#", extra},
		{"user", "https://me@a.example", extra},
		{"user and password", "https://me:secret@a.example", extra},
		{"empty user", "https://@a.example", extra},
		{"trailing slash", "https://a.example/", slash},
		{"trailing slash after a path", "https://a.example/auth/", slash},
		{"upper-case host", "https://A.example", spelling},
		{"upper-case scheme", "HTTPS://a.example", spelling},
		{"default port", "https://a.example:443", spelling},
		{"default port of http", "http://127.0.0.1:80", spelling},
		{"empty port", "https://a.example:", spelling},
		{"port with a zero before it", "https://a.example:08443", spelling},
		{"host with a quote", `https://a".example`, spelling},
		{"host that is not ASCII", "https://bücher.example", spelling},
		{"two slashes in the path", "https://a.example/b//c", spelling},
		{"dots in the path", "https://a.example/b/../c", spelling},
		{"a dot in the path", "https://a.example/./c", spelling},
		{"percent in the path", "https://a.example/%41", spelling},
		{"pattern in the path", "https://a.example/{x}", spelling},
		{"space in the path", "https://a.example/a b", spelling},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			s := settings(t)
			s.Issuer = row.issuer
			err := s.Check()
			if err == nil {
				t.Fatal("accepted")
			}
			if got, want := err.Error(), row.want; len(got) < len(want) || got[len(got)-len(want):] != want {
				t.Errorf("error %q\n want %q", got, want)
			}
		})
	}
}

func TestIsLoopback(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, address string
		want          bool
	}{
		{"IPv4", "127.0.0.1:80", true},
		{"all of 127/8", "127.255.255.254:80", true},
		{"IPv6", "[::1]:80", true},
		{"IPv4 in IPv6", "[::ffff:127.0.0.1]:80", true},
		{"localhost", "localhost:80", true},
		{"every address", "0.0.0.0:80", false},
		{"every IPv6 address", "[::]:80", false},
		{"no host is every address", ":80", false},
		{"private", "192.168.0.1:80", false},
		{"a name", "issuer.example.com:80", false},
		{"a name that begins alike", "localhost.example.com:80", false},
		{"a short spelling that the resolver might take", "127.1:80", false},
		{"no port", "127.0.0.1", false},
		{"empty", "", false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if got := config.IsLoopback(row.address); got != row.want {
				t.Errorf("IsLoopback(%q) = %v", row.address, got)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	s := settings(t)
	if s.Listen != "127.0.0.1:8080" || s.PrivateListen != "127.0.0.1:8081" || s.JWKSMaxAge != 5*time.Minute || s.Leeway != 30*time.Second {
		t.Errorf("defaults %+v", s)
	}
}

func TestDatabaseURL(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		args []string
		want string
	}{
		{"beside the keys", nil, "sqlite:" + filepath.Join("keys", "local", "issuer.db")},
		{"beside other keys", []string{"--keys-dir", "/var/lib/signet/keys/"}, "sqlite:/var/lib/signet/keys.db"},
		{"as it is said", []string{"--database", "postgres://signet@db/signet"}, "postgres://signet@db/signet"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if got := settings(t, row.args...).DatabaseURL(); got != row.want {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
}

// The development registry knows a client whose key lies about: nobody else than this machine may find it.
func TestMayDevelop(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		args []string
		want bool
	}{
		{"defaults", nil, true},
		{"another loopback address", []string{"--listen", "[::1]:80"}, true},
		{"an issuer on loopback", []string{"--issuer", "http://localhost:8080"}, true},
		{"everywhere", []string{"--listen", "0.0.0.0:8080"}, false},
		{"everywhere, by an empty host", []string{"--listen", ":8080"}, false},
		{"behind a proxy", []string{"--issuer", "https://a.example"}, false},
		{"with a registry of its own", []string{"--registry", "r.yaml"}, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if got := settings(t, row.args...).MayDevelop(); got != row.want {
				t.Errorf("%v, want %v", got, row.want)
			}
		})
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"":                                   "",
		"sqlite:/var/lib/a@b/issuer.db":      "sqlite:/var/lib/a@b/issuer.db",
		"postgres://db/signet":               "postgres://db/signet",
		"postgres://signet:hunter2@db/s":     "postgres://xxxxx@db/s",
		"postgres://a:b@c@db/s?sslmode=x":    "postgres://xxxxx@db/s?sslmode=x",
		"postgres://db/s?password=hunter2":   "postgres://db/s?password=xxxxx",
		"postgres://db/s?x=1&PassWord=h&y=2": "postgres://db/s?x=1&PassWord=xxxxx&y=2",
		"postgres://db/s?sslpassword=ab&z":   "postgres://db/s?sslpassword=xxxxx&z",
		"postgres://db/s?pass%77ord=hunter2": "postgres://db/s?pass%77ord=xxxxx",
		"postgres://db/s?%zz=hunter2":        "postgres://db/s?%zz=xxxxx",
		"postgres://a:hun/ter2@db/s":         "postgres://xxxxx@db/s",
		"host=db password=hunter2 port=1":    "host=db password=xxxxx port=1",
	} {
		if got := config.Redact(value); got != want {
			t.Errorf("Redact(%q) = %q, want %q", value, got, want)
		}
	}
}
