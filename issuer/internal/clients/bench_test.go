package clients_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/keys/keystest"
)

// BenchmarkReadFile reads 100,000 clients, which must take less than 2 s.
func BenchmarkReadFile(b *testing.B) {
	const count = 100_000
	rows := []struct{ name, credentials string }{
		{"secret", "    secrets:\n      - sha256: %064x\n        expires: 2027-06-30T00:00:00Z\n"},
		{"key", "    keys:\n      - pem: | # %d\n" + indent(publicPEM(b, keystest.ES256), 10) + "\n"},
	}
	for _, row := range rows {
		b.Run(row.name, func(b *testing.B) {
			var text strings.Builder
			text.WriteString(splitResources + "clients:\n")
			for n := range count {
				fmt.Fprintf(&text, "  - id: client-%d\n    name: Client number %d\n"+row.credentials+
					"    allow:\n      - resource: https://a\n        scopes: [read]\n", n, n, n)
			}
			path := filepath.Join(b.TempDir(), "registry.yaml")
			if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := clients.ReadFile(path, noon); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
