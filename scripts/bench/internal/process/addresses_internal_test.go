//go:build linux

package process

import "testing"

func TestAddresses(t *testing.T) {
	tests := []struct{ name, log, public, private string }{
		{"nothing yet", "", "", ""},
		{"half a line", `{"msg":"issuer serves","listen":"127.0.`, "", ""},
		{"bare", "{\"listen\":\"127.0.0.1:1\"}\n", "127.0.0.1:1", ""},
		{"after other lines", "text\n{\"msg\":\"keys\"}\n{\"listen\":\"a:1\",\"private_listen\":\"a:2\"}\n", "a:1", "a:2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			public, private := addresses([]byte(tt.log))
			if public != tt.public || private != tt.private {
				t.Errorf("got %q and %q", public, private)
			}
		})
	}
}
