package server_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"example.com/signet/issuer/internal/server"
)

func networks(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func behind(header string, trusted ...string) func(*server.Config) {
	return func(c *server.Config) { c.Proxies = server.Proxies{Trusted: networks(trusted...), Header: header} }
}

// Which address a request counts for: the log and the audit trail have it, and it is missing where there is none.
func TestRemote(t *testing.T) {
	t.Parallel()
	const xff, real = "X-Forwarded-For", "X-Real-Ip"
	chain := []string{"10.0.0.0/8", "192.0.2.7/32", "fd00::/8", "fe80::/10"}
	rows := []struct {
		name    string
		header  string // that is configured
		trusted []string
		from    string
		sent    []string
		want    string
	}{
		{"no proxies, a forged header", xff, nil, "203.0.113.5:1", []string{xff, "1.2.3.4", real, "1.2.3.4", "Forwarded",
			"for=1.2.3.4"}, "203.0.113.5"},
		{"no proxies, IPv6", xff, nil, "[2001:db8::5]:1", nil, "2001:db8::5"},
		{"no proxies, IPv4 in IPv6", xff, nil, "[::ffff:203.0.113.5]:1", nil, "203.0.113.5"},
		{"no proxies, no address", xff, nil, "@", []string{xff, "1.2.3.4"}, ""},

		{"by a proxy", xff, chain, "10.1.2.3:1", []string{xff, "203.0.113.5"}, "203.0.113.5"},
		{"by a proxy, IPv4 in IPv6", xff, chain, "[::ffff:10.1.2.3]:1", []string{xff, "203.0.113.5"}, "203.0.113.5"},
		{"by a proxy on IPv6", xff, chain, "[fd00::1]:1", []string{xff, "2001:DB8:0::5"}, "2001:db8::5"},
		{"by a proxy on the link", xff, chain, "[fe80::1%eth0]:1", []string{xff, "203.0.113.5"}, "203.0.113.5"},
		{"by two proxies", xff, chain, "10.1.2.3:1", []string{xff, "203.0.113.5, 192.0.2.7"}, "203.0.113.5"},
		{"by two proxies, without spaces", xff, chain, "10.1.2.3:1", []string{xff, "203.0.113.5,192.0.2.7"}, "203.0.113.5"},
		{"by two proxies, in two headers", xff, chain, "10.1.2.3:1", []string{xff, "203.0.113.5", xff, "192.0.2.7"},
			"203.0.113.5"},
		{"forged before the proxy's own", xff, chain, "10.1.2.3:1", []string{xff, "1.2.3.4, 203.0.113.5"}, "203.0.113.5"},
		{"forged in a header of its own", xff, chain, "10.1.2.3:1", []string{xff, "1.2.3.4", xff, "203.0.113.5"},
			"203.0.113.5"},
		{"forged to look like a proxy", xff, chain, "10.1.2.3:1", []string{xff, "10.9.9.9, 203.0.113.5"}, "203.0.113.5"},
		{"a proxy spelled as IPv4 in IPv6", xff, chain, "10.1.2.3:1", []string{xff, "203.0.113.5, ::ffff:192.0.2.7"},
			"203.0.113.5"},
		{"a proxy spelled with a zone", xff, chain, "10.1.2.3:1", []string{xff, "203.0.113.5, fd00::1%x"}, "203.0.113.5"},
		{"a caller spelled with a zone", xff, chain, "10.1.2.3:1", []string{xff, "2001:db8::5%eth0"}, "2001:db8::5"},
		{"a caller spelled as IPv4 in IPv6", xff, chain, "10.1.2.3:1", []string{xff, "::ffff:203.0.113.5"}, "203.0.113.5"},
		{"empty parts", xff, chain, "10.1.2.3:1", []string{xff, ",, 203.0.113.5 ,,"}, "203.0.113.5"},
		{"not by a proxy", xff, chain, "198.51.100.9:1", []string{xff, "1.2.3.4"}, "198.51.100.9"},
		{"a neighbour of the proxy", xff, chain, "192.0.2.8:1", []string{xff, "1.2.3.4"}, "192.0.2.8"},
		{"loopback is no proxy unless named", xff, chain, "127.0.0.1:1", []string{xff, "1.2.3.4"}, "127.0.0.1"},
		{"another header than the one configured", xff, chain, "10.1.2.3:1", []string{real, "1.2.3.4", "Forwarded",
			"for=1.2.3.4"}, "10.1.2.3"},
		{"no header: the proxy itself", xff, chain, "10.1.2.3:1", nil, "10.1.2.3"},
		{"all of them proxies: the one that the last saw", xff, chain, "10.1.2.3:1", []string{xff, "10.7.7.7, 10.8.8.8"}, "10.8.8.8"},
		{"proxies behind garbage", xff, chain, "10.1.2.3:1", []string{xff, "x, 10.8.8.8"}, "10.8.8.8"},
		{"a proxy that forges proxies", xff, chain, "10.1.2.3:1", []string{xff, "10.7.7.7", xff, "10.8.8.8"}, "10.8.8.8"},
		{"garbage", xff, chain, "10.1.2.3:1", []string{xff, "unknown"}, ""},
		{"garbage after an address", xff, chain, "10.1.2.3:1", []string{xff, "203.0.113.5, x\"y"}, ""},
		{"garbage before an address", xff, chain, "10.1.2.3:1", []string{xff, "x, 203.0.113.5"}, "203.0.113.5"},
		{"a port", xff, chain, "10.1.2.3:1", []string{xff, "203.0.113.5:443"}, ""},
		{"brackets", xff, chain, "10.1.2.3:1", []string{xff, "[2001:db8::5]"}, ""},
		{"octal", xff, chain, "10.1.2.3:1", []string{xff, "203.0.113.05"}, ""},
		{"a short spelling", xff, chain, "10.1.2.3:1", []string{xff, "127.1"}, ""},
		{"a number", xff, chain, "10.1.2.3:1", []string{xff, "3405803781"}, ""},
		{"a network", xff, chain, "10.1.2.3:1", []string{xff, "203.0.113.0/24"}, ""},
		{"NUL", xff, chain, "10.1.2.3:1", []string{xff, "203.0.113.5\x00"}, ""},
		{"a long list", xff, chain, "10.1.2.3:1", []string{xff, strings.Repeat("1.2.3.4,", 1000) + "203.0.113.5"},
			"203.0.113.5"},
		{"a long list of proxies", xff, chain, "10.1.2.3:1", []string{xff, "203.0.113.5" + strings.Repeat(",10.0.0.1",
			1000)}, "203.0.113.5"},

		{"one address", real, chain, "10.1.2.3:1", []string{real, "203.0.113.5"}, "203.0.113.5"},
		{"one address, the header in lower case", "x-real-ip", chain, "10.1.2.3:1", []string{real, "203.0.113.5"},
			"203.0.113.5"},
		{"the list in lower case", "x-forwarded-for", chain, "10.1.2.3:1", []string{xff, "1.2.3.4, 203.0.113.5"},
			"203.0.113.5"},
		{"one address, not by the proxy", real, chain, "198.51.100.9:1", []string{real, "1.2.3.4"}, "198.51.100.9"},
		{"one address, the list is not believed", real, chain, "10.1.2.3:1", []string{xff, "1.2.3.4"}, "10.1.2.3"},
		{"one address twice, the proxy's is the last", real, chain, "10.1.2.3:1", []string{real, "1.2.3.4", real,
			"203.0.113.5"}, "203.0.113.5"},
		{"one address and garbage after it", real, chain, "10.1.2.3:1", []string{real, "203.0.113.5", real, "x"}, ""},
		{"a list where one address belongs", real, chain, "10.1.2.3:1", []string{real, "1.2.3.4, 203.0.113.5"}, ""},
		{"one address with a zone", real, chain, "10.1.2.3:1", []string{real, "fe80::5%1"}, "fe80::5"},
		{"empty", real, chain, "10.1.2.3:1", []string{real, ""}, ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			d := newDirect(t, behind(row.header, row.trusted...))
			if w := d.ask(row.from, row.sent...); w.Code != 200 {
				t.Errorf("status %d", w.Code)
			}
			serve(d.Public, row.from, "GET", "/.well-known/jwks.json", "", row.sent...)
			if line := d.lines(t, "request")[0]; line["remote"] != row.want {
				t.Errorf("log: remote %q, want %q", line["remote"], row.want)
			}
			remote, named := d.events(t)[0]["remote"]
			if named != (row.want != "") || (named && remote != row.want) {
				t.Errorf("audit: remote %v, want %q", remote, row.want)
			}
		})
	}
}

// Which requests share a limit.
func TestRemoteLimits(t *testing.T) {
	t.Parallel()
	const xff, proxy = "X-Forwarded-For", "10.1.2.3:1"
	type request struct {
		from string
		sent []string
	}
	by := func(value string) request { return request{proxy, []string{xff, value}} }
	from := func(address string) request { return request{address, nil} }
	rows := []struct {
		name          string
		first, second request
		shared        bool
	}{
		{"the same address, another port", from("198.51.100.9:1"), from("198.51.100.9:2"), true},
		{"another address", from("198.51.100.9:1"), from("198.51.100.10:1"), false},
		{"IPv4 and the same in IPv6", from("198.51.100.9:1"), from("[::ffff:198.51.100.9]:1"), true},
		{"two IPv4 addresses in IPv6", from("[::ffff:198.51.100.9]:1"), from("[::ffff:198.51.100.10]:1"), false},
		{"one /64", from("[2001:db8:1:2::1]:1"), from("[2001:db8:1:2:ffff::2]:1"), true},
		{"another /64", from("[2001:db8:1:2::1]:1"), from("[2001:db8:1:3::1]:1"), false},
		{"zones", from("[fe80::1%eth0]:1"), from("[fe80::2%eth1]:1"), true},
		{"IPv4 and the IPv6 network of the same number", from("0.0.0.0:1"), from("[::]:1"), false},
		{"no address and IPv6 that is all zero", from("@"), from("[::]:1"), false},
		{"no address and IPv4 that is all zero", from("@"), from("0.0.0.0:1"), false},

		{"a header from nobody of ours", request{"198.51.100.9:1", []string{xff, "1.1.1.1"}}, request{"198.51.100.9:2",
			[]string{xff, "2.2.2.2"}}, true},
		{"by the proxy for two", by("198.51.100.9"), by("198.51.100.10"), false},
		{"by the proxy and directly", by("198.51.100.9"), from("198.51.100.9:7"), true},
		{"by two proxies for one", by("198.51.100.9"), request{"10.9.9.9:1", []string{xff, "198.51.100.9"}}, true},
		{"by the proxy for one who forges", by("1.1.1.1, 198.51.100.9"), by("2.2.2.2, 198.51.100.9"), true},
		{"by the proxy, in two spellings", by("2001:db8::1"), by("2001:DB8:0:0::1"), true},
		{"by the proxy, in two families", by("198.51.100.9"), by("::ffff:198.51.100.9"), true},
		{"by the proxy, with zones", by("2001:db8::1%a"), by("2001:db8::1%b"), true},
		{"by the proxy, one /64", by("2001:db8::1"), by("2001:db8::2"), true},
		{"by the proxy, two sorts of garbage", by("one"), by("two"), true},
		{"by the proxy, garbage and nothing", by("one"), from(proxy), false},
		{"by the proxy, nothing and its own address", from(proxy), by("10.1.2.3"), true},
		{"by the proxy, garbage and a port", by("one"), by("198.51.100.9:80"), true},
		{"by the proxy, garbage and an address", by("one"), by("198.51.100.9"), false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			d := newDirect(t, behind(xff, "10.0.0.0/8"), addressLimit(t, 1, 1))
			if w := d.ask(row.first.from, row.first.sent...); w.Code != 200 {
				t.Fatalf("status %d", w.Code)
			}
			want := http.StatusOK
			if row.shared {
				want = http.StatusTooManyRequests
			}
			if w := d.ask(row.second.from, row.second.sent...); w.Code != want {
				t.Errorf("status %d, want %d", w.Code, want)
			}
		})
	}
}

// Whatever a proxy is made to send, it is one address or none: garbage buys nobody a limit of his own.
func TestGarbageSharesOneLimit(t *testing.T) {
	t.Parallel()
	for _, header := range []string{"X-Forwarded-For", "X-Real-IP"} {
		d := newDirect(t, behind(header, "10.0.0.0/8"), addressLimit(t, 1, 5))
		served := 0
		for i := range 500 {
			garbage := fmt.Sprintf("%d.%d.%d.%d.%d%%\"\x1b[31m\xff", i, i, i, i, i)
			if i%7 == 0 {
				garbage = strings.Repeat("a", i*10)
			}
			if d.ask("10.1.2.3:1", header, garbage).Code == 200 {
				served++
			}
		}
		if served != 5 {
			t.Errorf("%s: %d served, want 5", header, served)
		}
	}
}

// Plain HTTP beyond this machine is for the proxies alone, at both listeners and whatever the headers say.
func TestGuard(t *testing.T) {
	t.Parallel()
	only := func(c *server.Config) {
		c.Proxies = server.Proxies{Trusted: networks("10.0.0.0/8", "fd00::/8", "fe80::/10"), Header: "X-Forwarded-For",
			Only: true}
	}
	rows := []struct {
		name, from string
		served     bool
	}{
		{"a proxy", "10.1.2.3:1", true},
		{"a proxy, IPv4 in IPv6", "[::ffff:10.1.2.3]:1", true},
		{"a proxy on IPv6", "[fd00::1]:1", true},
		{"a proxy on the link", "[fe80::1%eth0]:1", true},
		{"this machine", "127.0.0.1:1", true},
		{"this machine, another address", "127.8.8.8:1", true},
		{"this machine on IPv6", "[::1]:1", true},
		{"this machine, IPv4 in IPv6", "[::ffff:127.0.0.1]:1", true},
		{"somebody", "198.51.100.9:1", false},
		{"somebody on IPv6", "[2001:db8::1]:1", false},
		{"somebody, IPv4 in IPv6", "[::ffff:198.51.100.9]:1", false},
		{"next to the proxies", "11.0.0.0:1", false},
		{"every address", "0.0.0.0:1", false},
		{"every IPv6 address", "[::]:1", false},
		{"IPv4 in another form of IPv6", "[::10.1.2.3]:1", false},
		{"no port", "10.1.2.3", false},
		{"no address", "@", false},
		{"nothing", "", false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			d := newDirect(t, only)
			forged := []string{"X-Forwarded-For", "10.1.2.3", "X-Real-Ip", "127.0.0.1", "X-Forwarded-Proto", "https",
				"Forwarded", "for=127.0.0.1;proto=https"}
			answers := map[string]int{
				"token":   d.ask(row.from, forged...).Code,
				"keys":    serve(d.Public, row.from, "GET", "/.well-known/jwks.json", "", forged...).Code,
				"metrics": serve(d.Private, row.from, "GET", "/metrics", "", forged...).Code,
				"health":  serve(d.Private, row.from, "GET", "/readyz?verbose", "", forged...).Code,
			}
			for _, probe := range []string{"/livez", "/readyz"} { // from anywhere
				if w := serve(d.Private, row.from, "GET", probe, "", forged...); w.Code != 200 {
					t.Errorf("%s: status %d", probe, w.Code)
				}
			}
			want := http.StatusForbidden
			if row.served {
				want = http.StatusOK
			}
			for what, status := range answers {
				if status != want {
					t.Errorf("%s: status %d, want %d", what, status, want)
				}
			}
		})
	}
	t.Run("what is refused is said and logged, and not read", func(t *testing.T) {
		t.Parallel()
		d := newDirect(t, only)
		w := d.ask("198.51.100.9:1", "X-Forwarded-For", "10.1.2.3")
		if w.Body.String() != "plain HTTP is for the proxy only\n" || w.Header().Get("X-Request-Id") == "" {
			t.Errorf("body %q, headers %v", w.Body, w.Header())
		}
		line := d.lines(t, "request")[0]
		if line["status"] != 403.0 || line["remote"] != "198.51.100.9" {
			t.Errorf("log %v", line)
		}
		if events := d.events(t); len(events) != 0 {
			t.Errorf("audit %v", events)
		}
	})
	t.Run("paths and methods that are not there", func(t *testing.T) {
		t.Parallel()
		d := newDirect(t, only)
		for _, path := range []string{"/", "/nothing", "/oauth2/token/", "//oauth2/token", "/OAUTH2/TOKEN"} {
			for _, method := range []string{"GET", "POST", "BREW", "OPTIONS"} {
				if w := serve(d.Public, "198.51.100.9:1", method, path, ""); w.Code != 403 {
					t.Errorf("public %s %s: status %d", method, path, w.Code)
				}
				if w := serve(d.Private, "198.51.100.9:1", method, path, ""); w.Code != 403 {
					t.Errorf("private %s %s: status %d", method, path, w.Code)
				}
			}
		}
	})
	t.Run("off", func(t *testing.T) {
		t.Parallel()
		d := newDirect(t, behind("X-Forwarded-For", "10.0.0.0/8"))
		if w := d.ask("198.51.100.9:1"); w.Code != 200 {
			t.Errorf("status %d", w.Code)
		}
		if w := serve(d.Private, "198.51.100.9:1", "GET", "/livez", ""); w.Code != 200 {
			t.Errorf("private: status %d", w.Code)
		}
	})
}

// This machine may call itself by any address of its own.
func TestGuardOwnAddress(t *testing.T) {
	t.Parallel()
	d := newDirect(t, func(c *server.Config) {
		c.Proxies = server.Proxies{Trusted: networks("10.0.0.0/8"), Header: "X-Forwarded-For", Only: true}
	})
	for from, want := range map[string]int{"192.0.2.9:1": 200, "192.0.2.8:1": 403} {
		r := httptest.NewRequest("GET", "/.well-known/jwks.json", nil)
		local := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.9:8080"))
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(local)))
		r.RemoteAddr = from
		w := httptest.NewRecorder()
		if d.Public.ServeHTTP(w, r); w.Code != want {
			t.Errorf("from %s: status %d, want %d", from, w.Code, want)
		}
	}
}
