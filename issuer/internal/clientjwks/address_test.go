package clientjwks_test

import (
	"errors"
	"net/netip"
	"testing"

	"example.com/signet/issuer/internal/clientjwks"
)

// Both ends of every range that is not public, and what lies next to them.
func TestIsPublic(t *testing.T) {
	t.Parallel()
	hidden := map[string][2]string{
		"this network":              {"0.0.0.0", "0.255.255.255"},
		"private, 10":               {"10.0.0.0", "10.255.255.255"},
		"carrier":                   {"100.64.0.0", "100.127.255.255"},
		"loopback":                  {"127.0.0.0", "127.255.255.255"},
		"link-local":                {"169.254.0.0", "169.254.255.255"},
		"private, 172":              {"172.16.0.0", "172.31.255.255"},
		"protocols":                 {"192.0.0.0", "192.0.0.255"},
		"documentation 1":           {"192.0.2.0", "192.0.2.255"},
		"6to4 relays":               {"192.88.99.0", "192.88.99.255"},
		"private, 192":              {"192.168.0.0", "192.168.255.255"},
		"benchmarks":                {"198.18.0.0", "198.19.255.255"},
		"documentation 2":           {"198.51.100.0", "198.51.100.255"},
		"documentation 3":           {"203.0.113.0", "203.0.113.255"},
		"multicast":                 {"224.0.0.0", "239.255.255.255"},
		"reserved and broadcast":    {"240.0.0.0", "255.255.255.255"},
		"unspecified and IPv4 in 6": {"::", "::ffff:ffff"},
		"loopback, IPv6":            {"::1", "::1"},
		"mapped":                    {"::ffff:0:0", "::ffff:ffff:ffff"},
		"NAT64":                     {"64:ff9b::", "64:ff9b::ffff:ffff"},
		"NAT64 of one's own":        {"64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"},
		"discarded":                 {"100::", "100::ffff:ffff:ffff:ffff"},
		"below global unicast":      {"::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		"protocols, IPv6":           {"2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"},
		"documentation, IPv6":       {"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
		"6to4":                      {"2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		"documentation, longer":     {"3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"},
		"above global unicast":      {"4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		"segment routing":           {"5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		"unique local":              {"fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		"link-local, IPv6":          {"fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		"site-local":                {"fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		"multicast, IPv6":           {"ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	}
	for name, ends := range hidden {
		for _, end := range ends {
			if clientjwks.IsPublic(netip.MustParseAddr(end)) {
				t.Errorf("%s: %s is public", name, end)
			}
		}
	}
	if clientjwks.IsPublic(netip.Addr{}) {
		t.Error("no address is public")
	}
	public := []string{
		"1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
		"169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.255", "192.0.3.0",
		"192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
		"198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255", "8.8.8.8",
		"2000::", "2001:200::", "2001:db7:ffff::", "2001:db9::", "2001:4860:4860::8888", "2003::", "2a00::1",
		"3ffe:ffff::", "3fff:1000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	}
	for _, addr := range public {
		if !clientjwks.IsPublic(netip.MustParseAddr(addr)) {
			t.Errorf("%s is not public", addr)
		}
	}
}

// The address of a socket, in whatever form a system hands it over.
func TestCheckAddress(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, network, address string
		ok                     bool
	}{
		{"mapped private", "tcp6", "[::ffff:10.0.0.1]:443", false},
		{"mapped loopback, with a zone", "tcp6", "[::ffff:127.0.0.1%lo]:443", false},
		{"another zone's address", "tcp6", "[fe80::2%eth0]:443", false},
		{"a name", "tcp", "localhost:443", false},
		{"no port", "tcp4", "8.8.8.8", false},
		{"nothing", "tcp4", "", false},
		{"a datagram", "udp4", "8.8.8.8:443", false},
		{"a file", "unix", "/run/x.sock", false},
		{"public", "tcp4", "8.8.8.8:443", true},
		{"mapped public", "tcp6", "[::ffff:8.8.8.8]:443", true},
		{"public, IPv6", "tcp6", "[2a00::1]:443", true},
		{"allowed", "tcp4", "192.168.7.9:443", true},
		{"allowed, mapped", "tcp6", "[::ffff:192.168.7.9]:443", true},
		{"allowed, with a zone", "tcp6", "[fe80::1%eth0]:443", true},
	}
	networks := []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24"), netip.MustParsePrefix("fe80::1/128")}
	for _, row := range rows {
		err := clientjwks.CheckAddress(networks, row.network, row.address)
		if (err == nil) != row.ok || (err != nil && !errors.Is(err, clientjwks.ErrAddress)) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}
