package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"example.com/signet/issuer/internal/config"
)

// Every value says where it came from: the flag, the variable, the line; what has its default is not there.
func TestSources(t *testing.T) {
	t.Parallel()
	const file = `# the settings
issuer: https://issuer.example.com
keys:
  dir: from-file
  retention: 2h
trusted:
  proxies:
    - 10.0.0.0/8
limit: {address_rate: 1,
  client_rate: 2}
log_format: json
`
	fromFile := config.Sources{
		"issuer": "FILE:2", "keys-dir": "FILE:4", "keys-retention": "FILE:5", "trusted-proxies": "FILE:7",
		"limit-address-rate": "FILE:9", "limit-client-rate": "FILE:10", "log-format": "FILE:11",
	}
	with := func(more config.Sources) config.Sources {
		all := make(config.Sources)
		for _, sources := range []config.Sources{fromFile, more} {
			for name, from := range sources {
				all[name] = from
			}
		}
		return all
	}
	rows := []struct {
		name string
		args []string
		env  map[string]string
		want config.Sources
	}{
		{"defaults", nil, nil, config.Sources{}},
		{"a flag", []string{"--leeway", "1s"}, nil, config.Sources{"leeway": "--leeway"}},
		{"a flag that repeats the default", []string{"--leeway", "30s"}, nil, config.Sources{"leeway": "--leeway"}},
		{"the environment", nil, map[string]string{"SIGNET_LEEWAY": "1s"}, config.Sources{"leeway": "SIGNET_LEEWAY"}},
		{"a flag over the environment", []string{"--leeway", "1s"}, map[string]string{"SIGNET_LEEWAY": "2s"},
			config.Sources{"leeway": "--leeway"}},
		{"an empty variable", nil, map[string]string{"SIGNET_LEEWAY": ""}, config.Sources{}},
		{"the file", []string{"--config", "FILE"}, nil, with(config.Sources{"config": "--config"})},
		{"the file that the environment names", nil, map[string]string{"SIGNET_CONFIG": "FILE"},
			with(config.Sources{"config": "SIGNET_CONFIG"})},
		{"all of them", []string{"--config", "FILE", "--issuer", "https://other.example.com"},
			map[string]string{"SIGNET_KEYS_DIR": "from-env", "SIGNET_ISSUER": "https://third.example.com",
				"SIGNET_TLS_CERT": "c"},
			with(config.Sources{"config": "--config", "issuer": "--issuer", "keys-dir": "SIGNET_KEYS_DIR",
				"tls-cert": "SIGNET_TLS_CERT"})},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got, err := sourcesOf(t, row.args, row.env, file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("sources (-want +got):\n%s", diff)
			}
		})
	}
}

// What could not be taken came from nowhere, and the rest is told all the same.
func TestSourcesOfWrongValues(t *testing.T) {
	t.Parallel()
	got, err := sourcesOf(t, []string{"--config", "FILE"}, map[string]string{"SIGNET_LEEWAY": "long",
		"SIGNET_LISTEN": "a:1"},
		"leeway: short\nregistry: r\nlisten: b:1\n")
	want := config.Sources{"config": "--config", "listen": "SIGNET_LISTEN", "registry": "FILE:2"}
	if diff := cmp.Diff(want, got); diff != "" || err == nil || strings.Count(err.Error(), "--leeway") != 2 {
		t.Errorf("error %v, sources (-want +got):\n%s", err, diff)
	}
}

// Every setting can come from everywhere: none is named so that its variable or its line means another.
func TestSourcesOfEverySetting(t *testing.T) {
	t.Parallel()
	flags := pflag.NewFlagSet("issuer", pflag.ContinueOnError)
	config.Bind(flags)
	values := map[string]string{"networks": "10.0.0.0/8", "duration": "1s", "int": "7", "bool": "true", "string": "text",
		"level": "warn"}
	seen := make(map[string]string)
	flags.VisitAll(func(flag *pflag.Flag) {
		env := config.EnvName(flag.Name)
		if other := seen[env]; other != "" {
			t.Errorf("%s is %s and %s", env, other, flag.Name)
		}
		seen[env] = flag.Name
		if flag.Name == "config" {
			return
		}
		value := values[flag.Value.Type()]
		if flag.Name == "log-level" {
			value = values["level"]
		}
		got, err := sourcesOf(t, nil, map[string]string{env: value}, "")
		if diff := cmp.Diff(config.Sources{flag.Name: env}, got); diff != "" || err != nil {
			t.Errorf("%s: %v, %s", env, err, diff)
		}
		line := strings.ReplaceAll(flag.Name, "-", "_")
		got, err = sourcesOf(t, nil, map[string]string{"SIGNET_CONFIG": "FILE"}, "\n"+line+": '"+value+"'\n")
		if diff := cmp.Diff(config.Sources{"config": "SIGNET_CONFIG", flag.Name: "FILE:2"}, got); diff != "" || err != nil {
			t.Errorf("%s: %v, %s", line, err, diff)
		}
	})
}

// sourcesOf is load, for the sources.
func sourcesOf(t *testing.T, args []string, env map[string]string, file string) (config.Sources, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "settings.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := pflag.NewFlagSet("issuer", pflag.ContinueOnError)
	config.Bind(flags)
	var given []string
	for _, arg := range args {
		given = append(given, strings.ReplaceAll(arg, "FILE", path))
	}
	if err := flags.Parse(given); err != nil {
		t.Fatal(err)
	}
	sources, err := config.Load(flags, func(name string) string { return strings.ReplaceAll(env[name], "FILE", path) })
	for name, from := range sources {
		sources[name] = strings.ReplaceAll(from, path, "FILE")
	}
	return sources, err
}
