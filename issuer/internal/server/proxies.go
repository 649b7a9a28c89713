package server

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies says which proxies stand before the issuer.
type Proxies struct {
	Trusted []netip.Prefix // their addresses and best nobody else's; none: there is no proxy
	Header  string         // where they name the caller; "X-Forwarded-For" is read as a list, any other as one address

	// Only refuses whoever comes by another way, this machine aside: the listener speaks plain HTTP and the proxies TLS.
	Only bool
}

// forwardedFor is the header that each proxy on the way adds an address to.
const forwardedFor = "X-Forwarded-For"

// guard refuses who comes by another way than the proxies, when there is to be no other way.
func (p Proxies) guard(next http.Handler) http.Handler {
	if !p.Only {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if peer := peerOf(r); !peer.IsValid() || (!peer.IsLoopback() && peer != localOf(r) && !p.trusts(peer)) {
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, "plain HTTP is for the proxy only", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// addressOf is the address that a request comes from, invalid when a proxy named none that can be read. Proxies are believed
// and nobody else. (chi's middleware has this too, and beside it net/http/pprof, which has no place in an issuer.)
func (p Proxies) addressOf(r *http.Request) netip.Addr {
	peer := peerOf(r)
	named := r.Header[http.CanonicalHeaderKey(p.Header)]
	switch {
	case len(named) == 0 || !p.trusts(peer):
		return peer
	case http.CanonicalHeaderKey(p.Header) == forwardedFor:
		return p.lastHop(named)
	}
	return parseAddress(named[len(named)-1])
}

// lastHop is the last of the listed addresses that is no proxy's: what stands before it the caller may have written. Where
// a proxy stands among its callers' addresses, and all look like proxies, it is the one that the nearest proxy saw itself.
func (p Proxies) lastHop(lists []string) (nearest netip.Addr) {
	for _, list := range slices.Backward(lists) {
		for _, hop := range slices.Backward(strings.Split(list, ",")) {
			if hop = strings.TrimSpace(hop); hop == "" {
				continue
			}
			address := parseAddress(hop)
			switch {
			case !address.IsValid():
				return nearest
			case !p.trusts(address):
				return address
			case !nearest.IsValid():
				nearest = address
			}
		}
	}
	return nearest
}

func parseAddress(text string) netip.Addr {
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return address.Unmap().WithZone("")
}

func (p Proxies) trusts(address netip.Addr) bool {
	return slices.ContainsFunc(p.Trusted, func(prefix netip.Prefix) bool { return prefix.Contains(address) })
}

// peerOf is the other end of the connection, and localOf this one; invalid when it is not known.
func peerOf(r *http.Request) netip.Addr { return addressIn(r.RemoteAddr) }

func localOf(r *http.Request) netip.Addr {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return netip.Addr{}
	}
	return addressIn(local.String())
}

func addressIn(addressAndPort string) netip.Addr {
	parsed, err := netip.ParseAddrPort(addressAndPort)
	if err != nil {
		return netip.Addr{}
	}
	return parsed.Addr().Unmap().WithZone("")
}

// callerOf is what an address is limited by: itself on IPv4, or the /64 network that a host on IPv6 may choose its
// addresses from. Requests without an address share one limit.
func callerOf(address netip.Addr) netip.Prefix {
	bits := address.BitLen()
	if address.Is6() {
		bits = 64
	}
	prefix, err := address.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
