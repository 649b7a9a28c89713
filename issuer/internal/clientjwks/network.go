package clientjwks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
)

// ErrAddress is a jwks_uri that leads to an address which is neither public nor in Config.Networks.
var ErrAddress = errors.New("address not allowed")

const (
	dialTimeout     = 5 * time.Second // a fetch as a whole has no more
	maxConnsPerHost = 4               // one host may publish for many clients
	maxHeader       = 64 << 10        // octets of a response's header
)

// dialFunc is what [net.Dialer.DialContext] is.
type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// newTransport returns a transport that knows no proxy, no cookies and no connection of an earlier fetch: every one is
// dialled, and looked at, for the fetch that uses it. So HTTP/2 would gain nothing, and is not offered.
func newTransport(dial dialFunc) *http.Transport {
	return &http.Transport{
		Proxy:                  nil, // it would connect where nobody looks
		DialContext:            dialForFetch(dial),
		DisableKeepAlives:      true,
		MaxConnsPerHost:        maxConnsPerHost,
		TLSHandshakeTimeout:    dialTimeout,
		ResponseHeaderTimeout:  dialTimeout,
		MaxResponseHeaderBytes: maxHeader,
	}
}

// newDialer returns a dialer that refuses every address which is neither public nor in networks. It looks at the
// address of the socket, after the name was resolved: what the name resolves to at another time does not matter.
func newDialer(networks []netip.Prefix) *net.Dialer {
	networks = slices.Clone(networks)
	return &net.Dialer{
		Timeout:  dialTimeout,
		Resolver: &net.Resolver{PreferGo: true}, // the C library's lookups do not end with their context
		ControlContext: func(_ context.Context, network, address string, _ syscall.RawConn) error {
			return checkAddress(networks, network, address)
		},
	}
}

func checkAddress(networks []netip.Prefix, network, address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !strings.HasPrefix(network, "tcp") {
		return fmt.Errorf("%w: %s %q", ErrAddress, network, address)
	}
	addr := at.Addr().Unmap().WithZone("") // no prefix contains an address with a zone
	if isPublic(addr) {
		return nil
	}
	for _, prefix := range networks {
		if prefix.Contains(addr) {
			return nil
		}
	}
	return fmt.Errorf("%w: %s is neither public nor in a network that is allowed", ErrAddress, addr)
}

// connectionsOf is the context key of the context that a fetch's connections live on.
type connectionsOf struct{}

// withConnections returns a context for one fetch. Its connections, and dials on the way, end with it.
func withConnections(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	return context.WithValue(ctx, connectionsOf{}, ctx), cancel
}

// dialForFetch dials on the context of the fetch. The transport's own outlives the request, for the sake of later
// requests that might use the connection; here there are none.
func dialForFetch(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if fetch, ok := ctx.Value(connectionsOf{}).(context.Context); ok {
			ctx = fetch
		}
		conn, err := dial(ctx, network, address)
		if err == nil {
			context.AfterFunc(ctx, func() { _ = conn.Close() }) // in the midst of a TLS handshake too
		}
		return conn, err
	}
}
