package clientjwks

import (
	"context"
	"net"
)

// The limits that the tests go to.
const (
	MaxSources = maxSources
	MaxWaiting = defaultMaxWaiting
	MaxFetches = maxFetches
)

// NewDialing is New on another network: for tests in which time and connections are their own.
func NewDialing(cfg Config, dial func(ctx context.Context, network, address string) (net.Conn, error)) *Keys {
	return newKeys(cfg, dial)
}

// NewResolving is New with names from another resolver. What it dials is looked at as ever.
func NewResolving(cfg Config, resolver *net.Resolver) *Keys {
	dialer := newDialer(cfg.Networks)
	dialer.Resolver = resolver
	return newKeys(cfg, dialer.DialContext)
}

// What the tests look at alone.
var (
	IsPublic     = isPublic
	CheckAddress = checkAddress
	NewTransport = newTransport
)
