package server

import (
	"net/http"
	"net/netip"
	"slices"

	"github.com/go-chi/chi/v5/middleware"
)

// Proxies says which proxies stand before the issuer.
type Proxies struct {
	Trusted []netip.Prefix // their addresses; none: there is no proxy
	Header  string         // where they name the caller; "X-Forwarded-For" is read as a list, any other as one address

	// Only refuses whoever comes by another way, this machine aside: the listener speaks plain HTTP and the proxies TLS.
	Only bool
}

// forwardedFor is the header that each proxy on the way adds an address to.
const forwardedFor = "X-Forwarded-For"

// client notes the address that a request comes from. A header is believed from the proxies alone; the address is
// missing when a proxy sends what is none.
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
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		address := peer.Addr().Unmap().WithZone("")
		isTrusted := func(prefix netip.Prefix) bool { return prefix.Contains(address) }
		if err != nil || (!address.IsLoopback() && !slices.ContainsFunc(p.Trusted, isTrusted)) {
			http.Error(w, "plain HTTP is for the proxy only", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// callerOf is what a request's address is limited by: an IPv4 address, or the /64 network that a host on IPv6 may choose
// its addresses from. Requests without an address share one limit.
func callerOf(r *http.Request) netip.Prefix {
	address := middleware.GetClientIPAddr(r.Context())
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
