package tokens

import (
	"context"
	"net"
	"net/http"
)

// closeWith makes every connection of the transport end with ctx. Closing those that are idle does not reach the HTTP/2
// connections whose last request has just been given up.
func closeWith(ctx context.Context, transport *http.Transport) {
	dial := transport.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	transport.DialContext = func(dialing context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(dialing, network, address)
		if err != nil {
			return nil, err
		}
		return &boundConn{conn, context.AfterFunc(ctx, func() { _ = conn.Close() })}, nil
	}
}

// boundConn is a connection that ends with a context.
type boundConn struct {
	net.Conn
	forget func() bool
}

func (c *boundConn) Close() error {
	c.forget()
	return c.Conn.Close()
}
