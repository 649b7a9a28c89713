package remote

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// CheckURL reports whether address may be fetched: an absolute https URL, or http on loopback, without user and
// fragment. The error is an [ErrURL].
func CheckURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return fmt.Errorf("%w: not a URL", ErrURL) // what it is, and whether it has a password in it, nobody can tell
	case u.User != nil || strings.Contains(address, "#"):
		return fmt.Errorf("%w: it has a user or fragment", ErrURL)
	case u.Hostname() == "":
		return fmt.Errorf("%w: %.200q is not absolute", ErrURL, address)
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return fmt.Errorf("%w: %.200q is neither https nor loopback", ErrURL, address)
	}
	return nil
}

// CheckIssuer reports whether issuer is an issuer identifier (RFC 8414 §2): a URL as [CheckURL] allows it, without
// query. The error is an [ErrURL].
func CheckIssuer(issuer string) error {
	if err := CheckURL(issuer); err != nil {
		return err
	}
	if strings.ContainsAny(issuer, "?#") {
		return fmt.Errorf("%w: %.200q is no issuer identifier: it has a query or fragment", ErrURL, issuer)
	}
	return nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}
