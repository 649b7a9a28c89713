package keys_test

import (
	"strings"
	"testing"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// To read a header costs more than to check a signature when it is long; what a client says of itself may be longer, for
// some send their certificate along.
func TestHeaderSize(t *testing.T) {
	t.Parallel()
	header := keystest.AccessHeader(keystest.ES256).With("x5c", `""`)
	room := 1<<10 - len(header.String())
	for _, row := range []struct {
		name   string
		octets int
		ok     bool
	}{
		{"1 KiB", room, true},
		{"one octet more", room + 1, false},
		{"4 KiB", room + 3<<10, false},
	} {
		token := keystest.Forge(keystest.ES256, header.With("x5c", `"`+strings.Repeat("x", row.octets)+`"`).String(), "{}")
		_, err := keys.Parse(token)
		if (err == nil) != row.ok || (err != nil && err.Error() != ruleLongHeader) {
			t.Errorf("%s: %v", row.name, err)
		}
		if _, err := keys.ParseAssertion(token); err != nil {
			t.Errorf("%s, of an assertion: %v", row.name, err)
		}
	}
}
