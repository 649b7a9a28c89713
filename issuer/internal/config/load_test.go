package config_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"example.com/signet/issuer/internal/config"
)

// load loads settings from a command line, an environment and a file. FILE in args and environment is the file's path.
func load(t *testing.T, args []string, env map[string]string, file string) (*config.Settings, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "settings.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := pflag.NewFlagSet("issuer", pflag.ContinueOnError)
	s := config.Bind(flags)
	var given []string
	for _, arg := range args {
		given = append(given, strings.ReplaceAll(arg, "FILE", path))
	}
	if err := flags.Parse(given); err != nil {
		t.Fatal(err)
	}
	_, err := config.Load(flags, func(name string) string { return strings.ReplaceAll(env[name], "FILE", path) })
	if err != nil {
		err = pathError(strings.ReplaceAll(err.Error(), path, "FILE"))
	}
	return s, err
}

// pathError is an error whose path has been made the same in every run.
type pathError string

func (e pathError) Error() string { return string(e) }

func TestPrecedence(t *testing.T) {
	t.Parallel()
	const file = "keys:\n  dir: from-file\n"
	env := map[string]string{"SIGNET_KEYS_DIR": "from-env"}
	rows := []struct {
		name string
		args []string
		env  map[string]string
		file string
		want string
	}{
		{"default", nil, nil, "", "keys/local/issuer"},
		{"file over default", []string{"--config", "FILE"}, nil, file, "from-file"},
		{"environment over default", nil, env, "", "from-env"},
		{"environment over file", []string{"--config", "FILE"}, env, file, "from-env"},
		{"flag over both", []string{"--config", "FILE", "--keys-dir", "from-flag"}, env, file, "from-flag"},
		{"flag that repeats the default, over both", []string{"--config", "FILE", "--keys-dir", "keys/local/issuer"}, env, file, "keys/local/issuer"},
		{"empty environment variable is not set", []string{"--config", "FILE"}, map[string]string{"SIGNET_KEYS_DIR": ""}, file, "from-file"},
		{"file named by the environment", nil, map[string]string{"SIGNET_CONFIG": "FILE"}, file, "from-file"},
		{"flag's file over the environment's", []string{"--config", "FILE"}, map[string]string{"SIGNET_CONFIG": "/nowhere"}, file, "from-file"},
		{"in one word", []string{"--config", "FILE"}, nil, "keys_dir: from-file\n", "from-file"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			s, err := load(t, row.args, row.env, row.file)
			if err != nil {
				t.Fatal(err)
			}
			if s.KeysDir != filepath.FromSlash(row.want) {
				t.Errorf("keys dir %q, want %q", s.KeysDir, row.want)
			}
		})
	}
}

func TestLoadEverySetting(t *testing.T) {
	t.Parallel()
	s, err := load(t, []string{"--config", "FILE"}, nil, `issuer: https://issuer.example.com
listen: 127.0.0.1:1
private: {listen: '127.0.0.1:2'}
tls: {cert: c.pem, key: k.pem}
trusted: {proxies: [10.0.0.0/8, 192.0.2.7], proxy_header: X-Real-IP}
clients: {jwks_networks: 'fd00::/8,127.0.0.1', cache_size: 4}
database: postgres://signet@db/signet
database_password_file: p
database_connections: 5
database_max_stale: 6s
insecure_database: true
master_key_file: m
limit: {address_rate: 1, client_rate: 2, in_flight: 3}
keys: {dir: a, rotate_every: 48h, publish_ahead: 6h, retention: 2h}
registry: b
jwks: {max_age: 1m}
leeway: 2s
shutdown: {grace: 3s, delay: 4s}
insecure_http: true
log:
  format: json
  level: debug
`)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Settings{
		Issuer: "https://issuer.example.com", Listen: "127.0.0.1:1", PrivateListen: "127.0.0.1:2", KeysDir: "a", Registry: "b",
		RotateEvery: 48 * time.Hour, PublishAhead: 6 * time.Hour, Retention: 2 * time.Hour,
		JWKSMaxAge: time.Minute, Leeway: 2 * time.Second, InsecureHTTP: true,
		ShutdownGrace: 3 * time.Second, ShutdownDelay: 4 * time.Second,
		TLSCert: "c.pem", TLSKey: "k.pem", TrustedProxyHeader: "X-Real-IP",
		TrustedProxies:      []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32")},
		ClientsJWKSNetworks: []netip.Prefix{netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("127.0.0.1/32")},
		Database:            "postgres://signet@db/signet", DatabasePasswordFile: "p", DatabaseConnections: 5, DatabaseMaxStale: 6 * time.Second,
		InsecureDatabase: true, MasterKeyFile: "m", ClientsCacheSize: 4,
		LimitAddressRate: 1, LimitClientRate: 2, LimitInFlight: 3,
		LogFormat: "json", LogLevel: -4,
	}
	if diff := cmp.Diff(want, *s, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	rows := []struct{ name, file, want string }{
		{"unknown setting", "issuer: a\nlissen: b\n", `FILE:2: unknown setting "lissen"`},
		{"unknown setting below another", "keys:\n  dir: a\n  directory: b\n", `FILE:3: unknown setting "directory"`},
		{"unknown group", "log:\n  level: info\ntsl:\n  cert: a\n", `FILE:4: unknown setting "cert"`},
		{"unknown list", "listen_on: [a, b]\n", `FILE:1: unknown setting "listen_on"`},
		{"upper case", "Issuer: a\n", `FILE:1: unknown setting "Issuer"`},
		{"the file itself", "config: other.yaml\n", `FILE:1: unknown setting "config"`},
		{"help", "help: true\n", `FILE:1: unknown setting "help"`},
		{"set twice", "leeway: 1s\nleeway: 2s\n", `FILE:2: "leeway" is set already, at line 1`},
		{"set twice in two spellings", "keys: {dir: a}\nkeys_dir: b\n", `FILE:2: "keys_dir" is set already, at line 1`},
		{"a list", "listen: [a, b]\n", `FILE:1: "listen" takes one value`},
		{"no value", "registry:\n", `FILE:1: "registry" takes one value`},
		{"null", "issuer: ~\n", `FILE:1: "issuer" takes one value`},
		{"alias", "leeway: &a 1s\nshutdown_grace: *a\n", `FILE:2: "shutdown_grace" takes one value`},
		{"duration without unit", "leeway: 30\n", `FILE:1: invalid argument "30" for "--leeway" flag: time: missing unit in duration "30"`},
		{"not true or false", "insecure_http: sure\n", `FILE:1: invalid argument "sure" for "--insecure-http" flag: strconv.ParseBool: parsing "sure": invalid syntax`},
		{"log level", "log: {level: loud}\n", `FILE:1: invalid argument "loud" for "--log-level" flag: slog: level string "loud": unknown name`},
		{"two documents", "leeway: 1s\n---\nleeway: 2s\n", "reading settings FILE: more than one YAML document"},
		{"a list of settings", "- leeway: 1s\n", "FILE:1: settings are a mapping of names to values"},
		{"one word", "leeway\n", "FILE:1: settings are a mapping of names to values"},
		{"two mistakes", "a: 1\nb: 2\n", "FILE:1: unknown setting \"a\"\nFILE:2: unknown setting \"b\""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if _, err := load(t, []string{"--config", "FILE"}, nil, row.file); err == nil || err.Error() != row.want {
				t.Errorf("error %v\n want %s", err, row.want)
			}
		})
	}
	t.Run("syntax", func(t *testing.T) {
		_, err := load(t, []string{"--config", "FILE"}, nil, "issuer: 'a\n")
		if err == nil || !strings.HasPrefix(err.Error(), "reading settings FILE: yaml: ") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("no such file", func(t *testing.T) {
		_, err := load(t, []string{"--config", "FILE.no"}, nil, "")
		if err == nil || err.Error() != "reading settings: open FILE.no: no such file or directory" {
			t.Errorf("error %v", err)
		}
	})
	t.Run("environment", func(t *testing.T) {
		_, err := load(t, nil, map[string]string{"SIGNET_LEEWAY": "long", "SIGNET_INSECURE_HTTP": "2"}, "")
		want := `SIGNET_INSECURE_HTTP: invalid argument "2" for "--insecure-http" flag: strconv.ParseBool: parsing "2": invalid syntax
SIGNET_LEEWAY: invalid argument "long" for "--leeway" flag: time: invalid duration "long"`
		if err == nil || err.Error() != want {
			t.Errorf("error %v\n want %s", err, want)
		}
	})
	t.Run("environment and file", func(t *testing.T) {
		_, err := load(t, []string{"--config", "FILE"}, map[string]string{"SIGNET_LEEWAY": "long"}, "a: 1\n")
		if err == nil || !strings.Contains(err.Error(), "SIGNET_LEEWAY") || !strings.Contains(err.Error(), "FILE:1") {
			t.Errorf("error %v does not name both", err)
		}
	})
}

func TestLoadNothing(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{"empty": "", "comments alone": "# nothing\n", "empty mapping": "{}\n"} {
		s, err := load(t, []string{"--config", "FILE"}, nil, file)
		if err != nil || s.Listen != "127.0.0.1:8080" {
			t.Errorf("%s: listen %q, %v", name, s.Listen, err)
		}
	}
}

func TestEnvName(t *testing.T) {
	t.Parallel()
	if got := config.EnvName("keys-dir"); got != "SIGNET_KEYS_DIR" {
		t.Errorf("EnvName = %q", got)
	}
}
