package config_test

import (
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"example.com/signet/issuer/internal/config"
)

// proxies parses the flag that lists networks.
func proxies(text string) ([]netip.Prefix, *pflag.FlagSet, error) {
	flags := pflag.NewFlagSet("issuer", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	s := config.Bind(flags)
	err := flags.Parse([]string{"--trusted-proxies=" + text})
	return s.TrustedProxies, flags, err
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	rows := []struct{ name, text, want string }{
		{"a network", "10.0.0.0/8", "10.0.0.0/8"},
		{"an address", "192.0.2.7", "192.0.2.7/32"},
		{"an address as a network", "192.0.2.7/32", "192.0.2.7/32"},
		{"both", "10.0.0.0/8,192.0.2.7", "10.0.0.0/8,192.0.2.7/32"},
		{"spaces", " 10.0.0.0/8 , 192.0.2.7 ", "10.0.0.0/8,192.0.2.7/32"},
		{"empty parts", ",10.0.0.0/8,, ,192.0.2.7,", "10.0.0.0/8,192.0.2.7/32"},
		{"IPv6", "fd00::/8,2001:DB8::1", "fd00::/8,2001:db8::1/128"},
		{"an IPv4 address in IPv6", "::ffff:192.0.2.7", "192.0.2.7/32"},
		{"everything, which is Check's to refuse", "0.0.0.0/0,::/0", "0.0.0.0/0,::/0"},
		{"twice", "10.0.0.0/8,10.0.0.0/8", "10.0.0.0/8,10.0.0.0/8"},
		{"nothing", "", ""},
		{"commas", ",,", ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			got, flags, err := proxies(row.text)
			if err != nil {
				t.Fatal(err)
			}
			flag := flags.Lookup("trusted-proxies")
			if flag.Value.String() != row.want || flag.Value.Type() != "networks" {
				t.Errorf("%s %q, want %q", flag.Value.Type(), flag.Value, row.want)
			}
			for _, network := range got {
				if network != network.Masked() || network.Addr().Is4In6() {
					t.Errorf("%v would match nothing", network)
				}
			}
			again, _, err := proxies(flag.Value.String())
			if diff := cmp.Diff(got, again, cmp.Comparer(func(a,
				b netip.Prefix) bool {
				return a == b
			})); diff != "" || err != nil {
				t.Errorf("read again: %v, %s", err, diff)
			}
		})
	}
}

func TestNetworksRefuse(t *testing.T) {
	t.Parallel()
	const noNetwork = `%q is no network: write 10.0.0.0/8 or 192.0.2.7`
	rows := []struct{ name, text, want string }{
		{"a name", "proxy.example.com", noNetwork},
		{"a word among networks", "10.0.0.0/8,proxy", `"proxy" is no network: write 10.0.0.0/8 or 192.0.2.7`},
		{"a port", "192.0.2.7:80", noNetwork},
		{"brackets", "[::1]", noNetwork},
		{"a mask too long", "10.0.0.0/33", noNetwork},
		{"a mask too long for IPv6", "fd00::/129", noNetwork},
		{"a negative mask", "10.0.0.0/-1", noNetwork},
		{"a mask with a zero before it", "10.0.0.0/08", noNetwork},
		{"a mask with a sign", "10.0.0.0/+8", noNetwork},
		{"a mask in octets", "10.0.0.0/255.0.0.0", noNetwork},
		{"no mask", "10.0.0.0/", noNetwork},
		{"two masks", "10.0.0.0/8/8", noNetwork},
		{"no address", "/8", noNetwork},
		{"too few octets", "10.0.0/8", noNetwork},
		{"octal", "010.0.0.0/8", noNetwork},
		{"a zone", "fe80::1%eth0", noNetwork},
		{"a network with a zone", "fe80::%eth0/10", noNetwork},
		{"an IPv4 network in IPv6", "::ffff:10.0.0.0/104", noNetwork},
		{"all of IPv4 in IPv6", "::ffff:0:0/96", noNetwork},
		{"a range", "10.0.0.1-10.0.0.9", noNetwork},
		{"a semicolon", "10.0.0.0/8;192.0.2.7", noNetwork},
		{"bits behind the mask", "10.1.2.3/8", `"10.1.2.3/8" is no network: did you mean 10.0.0.0/8?`},
		{"bits behind the mask of IPv6", "2001:db8::1/32", `"2001:db8::1/32" is no network: did you mean 2001:db8::/32?`},
		{"a line break", "10.0.0.0/8\n192.0.2.7", noNetwork},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := proxies(row.text)
			want := strings.ReplaceAll(row.want, "%q", quote(row.text))
			if err == nil || !strings.HasSuffix(err.Error(), ": "+want) {
				t.Errorf("error %v\n want …: %s", err, want)
			}
		})
	}
}

func quote(text string) string { return `"` + strings.ReplaceAll(text, "\n", `\n`) + `"` }

// The settings file may write networks as a list or as one value.
func TestNetworksInFile(t *testing.T) {
	t.Parallel()
	rows := []struct{ name, file, want, err string }{
		{"a list", "trusted: {proxies: [10.0.0.0/8, '192.0.2.7']}\n", "10.0.0.0/8,192.0.2.7/32", ""},
		{"a list in lines", "trusted_proxies:\n  - 10.0.0.0/8\n  - fd00::/8\n", "10.0.0.0/8,fd00::/8", ""},
		{"one value", "trusted_proxies: 10.0.0.0/8, 192.0.2.7\n", "10.0.0.0/8,192.0.2.7/32", ""},
		{"a list of one that lists two", "trusted_proxies: ['10.0.0.0/8,192.0.2.7']\n", "10.0.0.0/8,192.0.2.7/32", ""},
		{"an empty list", "trusted_proxies: []\n", "", ""},
		{"a list of empty texts", "trusted_proxies: ['', '']\n", "", ""},
		{"null", "trusted_proxies:\n", "", `FILE:1: "trusted_proxies" takes one value`},
		{"null in the list", "trusted_proxies:\n  - 10.0.0.0/8\n  -\n", "", `FILE:3: "trusted_proxies" takes one value`},
		{"a list in the list", "trusted_proxies: [[10.0.0.0/8]]\n", "", `FILE:1: "trusted_proxies" takes one value`},
		{"a mapping in the list", "trusted_proxies:\n  - {a: b}\n", "", `FILE:2: "trusted_proxies" takes one value`},
		{"an alias in the list", "trusted_proxies: [&a 10.0.0.0/8, *a]\n", "", `FILE:1: "trusted_proxies" takes one value`},
		{"a mapping", "trusted: {proxies: {a: 10.0.0.0/8}}\n", "", `FILE:1: unknown setting "a"`},
		{"bits behind the mask", "trusted_proxies: [10.0.0.1/8]\n", "",
			`FILE:1: invalid argument "10.0.0.1/8" for "--trusted-proxies" flag: ` +
				`"10.0.0.1/8" is no network: did you mean 10.0.0.0/8?`},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s, err := load(t, []string{"--config", "FILE"}, nil, row.file)
			if row.err != "" {
				if err == nil || err.Error() != row.err {
					t.Errorf("error %v\n want %s", err, row.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var texts []string
			for _, network := range s.TrustedProxies {
				texts = append(texts, network.String())
			}
			if got := strings.Join(texts, ","); got != row.want {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
}

// A later origin replaces the list; it does not add to it.
func TestNetworksAreReplaced(t *testing.T) {
	t.Parallel()
	s, err := load(t, []string{"--config", "FILE", "--trusted-proxies", "192.0.2.7"},
		map[string]string{"SIGNET_TRUSTED_PROXIES": "198.51.100.0/24"}, "trusted_proxies: [10.0.0.0/8]\n")
	if err != nil || len(s.TrustedProxies) != 1 || s.TrustedProxies[0] != netip.MustParsePrefix("192.0.2.7/32") {
		t.Errorf("%v, %v", s.TrustedProxies, err)
	}
}
