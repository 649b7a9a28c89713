package clientjwks

import (
	"net/netip"
	"slices"
)

// special are the networks that are no public addresses, though they look like some. They are taken from IANA's
// registries "IPv4 Special-Purpose Address Space" and "IPv6 Special-Purpose Address Space" (RFC 6890), whether or not
// these call an entry globally reachable, and from the address plans that they refer to.
var special = prefixes(
	"0.0.0.0/8",       // this network (RFC 791 §3.2)
	"10.0.0.0/8",      // private (RFC 1918)
	"100.64.0.0/10",   // shared by a carrier's customers (RFC 6598)
	"127.0.0.0/8",     // loopback (RFC 1122 §3.2.1.3)
	"169.254.0.0/16",  // link-local (RFC 3927); where clouds hand out credentials
	"172.16.0.0/12",   // private (RFC 1918)
	"192.0.0.0/24",    // protocol assignments (RFC 6890 §2.1)
	"192.0.2.0/24",    // documentation (RFC 5737)
	"192.88.99.0/24",  // 6to4 relays (RFC 7526)
	"192.168.0.0/16",  // private (RFC 1918)
	"198.18.0.0/15",   // benchmarks (RFC 2544)
	"198.51.100.0/24", // documentation (RFC 5737)
	"203.0.113.0/24",  // documentation (RFC 5737)
	"224.0.0.0/4",     // multicast (RFC 5771)
	"240.0.0.0/4",     // reserved (RFC 1112 §4), and broadcast (RFC 919)

	"2001::/23",     // protocol assignments (RFC 2928), with Teredo, which embeds IPv4 addresses (RFC 4380)
	"2001:db8::/32", // documentation (RFC 3849)
	"2002::/16",     // 6to4, which embeds IPv4 addresses (RFC 3056)
	"3fff::/20",     // documentation (RFC 9637)
)

// globalUnicast is all of IPv6 that is handed out as global unicast (RFC 4291 §2.4; IANA's "IPv6 Global Unicast
// Address Assignments"). Outside lie loopback and the unspecified address; the ranges that embed IPv4 addresses, ::/96,
// ::ffff:0:0/96 and NAT64's 64:ff9b::/96 and 64:ff9b:1::/48; discard-only 100::/64, segment routing 5f00::/16, unique
// local fc00::/7, link-local fe80::/10, site-local fec0::/10 and multicast ff00::/8.
var globalUnicast = netip.MustParsePrefix("2000::/3")

// isPublic reports whether an address, unmapped and without zone, is one that anybody on the Internet may have.
func isPublic(addr netip.Addr) bool {
	if !addr.Is4() && !globalUnicast.Contains(addr) {
		return false
	}
	return !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(addr) })
}

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}
