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
	case err != nil || u.Hostname() == "":
		return fmt.Errorf("%w: %.200q is not absolute", ErrURL, address)
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return fmt.Errorf("%w: %.200q is neither https nor loopback", ErrURL, address)
	case u.User != nil || u.Fragment != "":
		return fmt.Errorf("%w: it has a user or fragment", ErrURL)
	}
	return nil
}

// CheckIssuer reports whether issuer is an issuer identifier (RFC 8414 §2): a URL as [CheckURL] allows it, without query.
// The error is an [ErrURL].
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
