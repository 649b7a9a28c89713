package tokens

import (
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"example.com/signet/keys/remote"
)

// origin is scheme, host and port as RFC 6454 §4 compares them. The zero value is nowhere.
type origin struct{ scheme, host, port string }

func originOf(u *url.URL) origin {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "http":
		port = "80"
	case u.Scheme == "https":
		port = "443"
	}
	return origin{u.Scheme, lower(u.Hostname()), port}
}

// lower folds the case of a host of ASCII letters. In other scripts folding can make another host of it: "K", the Kelvin
// sign, becomes "k", but is not looked up so. Zones of IPv6 addresses, after a %, are told apart by case.
func lower(host string) string {
	for i := range len(host) {
		if host[i] >= utf8.RuneSelf || host[i] == '%' {
			return host
		}
	}
	return strings.ToLower(host)
}

// origin returns where the target's tokens may be sent, or nowhere when it does not say. A resource need not be an
// address: it is a name for the issuer, such as urn:example:orders (RFC 8707 §2).
func (t Target) origin() (origin, error) {
	address := t.Origin
	if address == "" {
		address = t.Resource
	}
	err := remote.CheckURL(address)
	switch {
	case err != nil && t.Origin != "":
		return origin{}, fmt.Errorf("tokens: origin: %w", err)
	case err != nil:
		return origin{}, nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return origin{}, fmt.Errorf("tokens: origin: %w", err)
	}
	return originOf(u), nil
}
