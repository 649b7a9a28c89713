package config_test

import "testing"

// production are settings that are right behind a proxy, for rows to change.
var production = []string{"--issuer", "https://a.example", "--registry", "r"}

func TestCheckListeners(t *testing.T) {
	t.Parallel()
	const (
		tls     = `--tls-cert "c" and --tls-key "" go together: give both`
		tlsKey  = `--tls-cert "" and --tls-key "k" go together: give both`
		public  = `--listen "0.0.0.0:80" is not loopback and would serve plain HTTP: `
		private = `--private-listen "0.0.0.0:81" is not loopback and would serve plain HTTP: `
		way     = `give --tls-cert and --tls-key, name the proxy that speaks TLS with ` +
			`--trusted-proxies, or accept the risk with --insecure-http`
		noAddress = ` is no address: write one like 127.0.0.1:8080`
	)
	open := []string{"--listen", "0.0.0.0:80"}
	openPrivate := []string{"--private-listen", "0.0.0.0:81"}
	pair := []string{"--tls-cert", "c", "--tls-key", "k"}
	rows := []struct {
		name string
		args [][]string
		want string // "": right
	}{
		{"loopback", nil, ""},
		{"open, with TLS", [][]string{open, pair}, ""},
		{"both open, with TLS", [][]string{open, openPrivate, pair}, ""},
		{"both open, behind a proxy", [][]string{open, openPrivate, {"--trusted-proxies", "10.0.0.0/8"}}, ""},
		{"both open, knowing it", [][]string{open, openPrivate, {"--insecure-http"}}, ""},
		{"TLS on loopback", [][]string{pair}, ""},
		{"open", [][]string{open}, public + way},
		{"the operator's open", [][]string{openPrivate}, private + way},
		{"both open", [][]string{open, openPrivate}, public + way + "\n" + private + way},
		{"every address in a shorter spelling", [][]string{{"--private-listen", ":81"}},
			`--private-listen ":81" is not loopback and would serve plain HTTP: ` + way},
		{"a name", [][]string{{"--private-listen", "host:81"}},
			`--private-listen "host:81" is not loopback and would serve plain HTTP: ` + way},
		{"proxies, but none", [][]string{open, {"--trusted-proxies", " , "}}, public + way},
		{"half of TLS", [][]string{{"--tls-cert", "c"}}, tls},
		{"the other half", [][]string{{"--tls-key", "k"}}, tlsKey},
		{"open with half of TLS", [][]string{open, {"--tls-cert", "c"}}, tls},
		{"open with the other half", [][]string{open, {"--tls-key", "k"}}, tlsKey + "\n" + public + way},
		{"everyone is trusted", [][]string{{"--trusted-proxies", "0.0.0.0/0"}},
			"--trusted-proxies 0.0.0.0/0 trusts half of the world: name the proxies' own addresses"},
		{"everyone on IPv6 is trusted", [][]string{open, {"--trusted-proxies", "10.0.0.0/8,::/0"}},
			"--trusted-proxies ::/0 trusts half of the world: name the proxies' own addresses"},
		{"no port", [][]string{{"--private-listen", "127.0.0.1"}}, `--private-listen "127.0.0.1"` + noAddress},
		{"nothing", [][]string{{"--private-listen", ""}}, `--private-listen ""` + noAddress},
		{"IPv6 without brackets", [][]string{{"--private-listen", "::1:81"}}, `--private-listen "::1:81"` + noAddress},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{}, production...)
			for _, more := range row.args {
				args = append(args, more...)
			}
			checkProblem(t, args, row.want)
		})
	}
}

// checkProblem checks that the settings have this problem, or none.
func checkProblem(t *testing.T, args []string, want string) {
	t.Helper()
	got := ""
	if err := settings(t, args...).Check(); err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("problem %s\n   want %s", got, want)
	}
}

func TestCheckLimits(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		args []string
		want string
	}{
		{"the least", []string{"--limit-address-rate", "1", "--limit-client-rate", "1", "--limit-in-flight", "1"}, ""},
		{"the most", []string{"--limit-address-rate", "1000000", "--limit-client-rate", "1000000", "--limit-in-flight",
			"1000000"}, ""},
		{"none of an address", []string{"--limit-address-rate", "0"}, "--limit-address-rate 0 is not from 1 to 1000000"},
		{"none of a client", []string{"--limit-client-rate", "0"}, "--limit-client-rate 0 is not from 1 to 1000000"},
		{"none in flight", []string{"--limit-in-flight", "0"}, "--limit-in-flight 0 is not from 1 to 1000000"},
		{"negative", []string{"--limit-in-flight", "-1"}, "--limit-in-flight -1 is not from 1 to 1000000"},
		{"too many", []string{"--limit-client-rate", "1000001"}, "--limit-client-rate 1000001 is not from 1 to 1000000"},
		{"all wrong", []string{"--limit-address-rate", "0", "--limit-client-rate", "-5", "--limit-in-flight", "2000000"},
			"--limit-address-rate 0 is not from 1 to 1000000\n--limit-client-rate -5 is not from 1 to 1000000\n" +
				"--limit-in-flight 2000000 is not from 1 to 1000000"},
		{"delay negative", []string{"--shutdown-delay", "-1s"}, "--shutdown-delay -1s is negative"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			checkProblem(t, append(append([]string{}, production...), row.args...), row.want)
		})
	}
}

func TestCheckProxyHeader(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, header string
		ok           bool
	}{
		{"a list", "X-Forwarded-For", true},
		{"in lower case", "x-real-ip", true},
		{"all signs of a name", "aZ09!#$%&'*+.^_`|~-", true},
		{"empty", "", false},
		{"a space", "X Real IP", false},
		{"a colon", "X-Real-IP:", false},
		{"a line break", "X-Real-IP\r\nX: y", false},
		{"a line break at its end", "X-Real-IP\n", false},
		{"not ASCII", "X-Réal-IP", false},
		{"two names", "X-Real-IP,X-Forwarded-For", false},
		{"quotes", `"X-Real-IP"`, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := settings(t, production...)
			s.TrustedProxyHeader = row.header
			if err := s.Check(); (err == nil) != row.ok {
				t.Errorf("error %v", err)
			}
		})
	}
	t.Run("the problem", func(t *testing.T) {
		t.Parallel()
		checkProblem(t, append([]string{"--trusted-proxy-header", "a b"}, production...),
			`--trusted-proxy-header "a b" is no header name`)
	})
}

// Only the proxies are served where plain HTTP meets an address that others can reach, and nobody is told so.
func TestOnlyProxies(t *testing.T) {
	t.Parallel()
	const loop, far = "127.0.0.1:1", "0.0.0.0:1"
	rows := []struct {
		name            string
		public, private string
		args            []string
		want            bool
	}{
		{"loopback", loop, loop, nil, false},
		{"loopback, with proxies", loop, loop, []string{"--trusted-proxies", "10.0.0.0/8"}, false},
		{"open, with proxies", far, loop, []string{"--trusted-proxies", "10.0.0.0/8"}, true},
		{"the operator's open, with proxies", loop, far, []string{"--trusted-proxies", "10.0.0.0/8"}, true},
		{"both open, with proxies", far, far, []string{"--trusted-proxies", "10.0.0.0/8"}, true},
		{"both open, insecure", far, far, []string{"--insecure-http"}, false},
		{"both open, insecure, with proxies", far, far, []string{"--insecure-http", "--trusted-proxies", "10.0.0.0/8"},
			false},
		{"both open, with TLS", far, far, []string{"--tls-cert", "c", "--tls-key", "k"}, false},
		{"both open, with TLS and proxies", far, far, []string{"--tls-cert", "c", "--tls-key", "k", "--trusted-proxies",
			"10.0.0.0/8"}, false},
		{"open and nothing, which Check refuses", far, loop, nil, true},
		{"an address that is none", "nonsense", loop, nil, true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := settings(t, append([]string{"--listen", row.public, "--private-listen", row.private}, row.args...)...)
			if got := s.OnlyProxies(); got != row.want {
				t.Errorf("OnlyProxies() = %v", got)
			}
		})
	}
}
