package loopback_test

import (
	"testing"

	"example.com/signet/client/internal/loopback"
)

func TestIs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		ours []string
		not  []string
	}{
		{"names", []string{"localhost", "localhost:9002"}, []string{"localhost.evil.example", "evil.example", "evil.localhost:1", ""}},
		{"IPv4", []string{"127.0.0.1", "127.0.0.1:0", "127.9.9.9:1"}, []string{"0.0.0.0:0", "10.0.0.1:1", "127.0.0.1.evil.example", ":0", "127.1:0"}},
		{"IPv6", []string{"[::1]", "[::1]:9002", "::1"}, []string{"[::]:0", "[fe80::1]:1", "::"}},
		{"tricks", nil, []string{"127.0.0.1@evil.example", "evil.example#127.0.0.1", "2130706433:0", "0x7f.0.0.1:0", " 127.0.0.1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, address := range test.ours {
				if !loopback.Is(address) {
					t.Errorf("%q is not ours", address)
				}
			}
			for _, address := range test.not {
				if loopback.Is(address) {
					t.Errorf("%q is ours", address)
				}
			}
		})
	}
}
