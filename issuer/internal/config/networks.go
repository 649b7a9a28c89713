package config

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/pflag"
)

// networks is the value of a flag that lists networks: 10.0.0.0/8,192.0.2.7. A single address is a network of one.
type networks []netip.Prefix

var _ pflag.Value = (*networks)(nil)

// Set implements [pflag.Value]. A flag that is given again adds to the list.
func (n *networks) Set(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		prefix, err := parseNetwork(part)
		if err != nil {
			return err
		}
		*n = append(*n, prefix)
	}
	return nil
}

// parseNetwork reads a network, or an address. Bits behind the mask are refused: they are a slip of the pen.
func parseNetwork(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
		return netip.PrefixFrom(address.Unmap(), address.Unmap().BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil || prefix.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is no network: write 10.0.0.0/8 or 192.0.2.7", text)
	}
	if prefix != prefix.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q is no network: did you mean %v?", text, prefix.Masked())
	}
	return prefix, nil
}

// String implements [pflag.Value].
func (n *networks) String() string {
	texts := make([]string, len(*n))
	for i, prefix := range *n {
		texts[i] = prefix.String()
	}
	return strings.Join(texts, ",")
}

// Type implements [pflag.Value].
func (n *networks) Type() string { return "networks" }
