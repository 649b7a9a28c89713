package server

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5/middleware"
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

// client notes the address that a request comes from. A header is believed from the proxies alone.
func (p Proxies) client() func(http.Handler) http.Handler {
	var trusted []string
	for _, prefix := range p.Trusted {
		trusted = append(trusted, prefix.String())
	}
	switch {
	case len(trusted) == 0:
		return middleware.ClientIPFromRemoteAddr
	case http.CanonicalHeaderKey(p.Header) == forwardedFor:
		return middleware.ClientIPFromXFF(trusted...)
	}
	return middleware.ClientIPFromHeader(p.Header, trusted...)
}

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

// addressOf is the address that a request comes from, invalid when a proxy named none. Where a proxy stands among its
// callers' addresses, and all that it names look like proxies, the last is believed: the one that it saw itself.
func (p Proxies) addressOf(r *http.Request) netip.Addr {
	if address := middleware.GetClientIPAddr(r.Context()); address.IsValid() {
		return address
	}
	named := r.Header[http.CanonicalHeaderKey(p.Header)]
	switch {
	case len(p.Trusted) == 0:
		return netip.Addr{}
	case len(named) == 0:
		return peerOf(r)
	}
	if http.CanonicalHeaderKey(p.Header) != forwardedFor {
		return netip.Addr{}
	}
	hops := strings.Split(named[len(named)-1], ",")
	last, err := netip.ParseAddr(strings.TrimSpace(hops[len(hops)-1]))
	if err != nil {
		return netip.Addr{}
	}
	return last.Unmap().WithZone("")
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
