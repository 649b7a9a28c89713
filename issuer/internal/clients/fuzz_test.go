package clients_test

import (
	"strings"
	"testing"

	"example.com/signet/issuer/internal/clients"
)

// FuzzParseRegistry: reading never panics, gives mistakes or a registry that keeps its own rules, and names lines that
// the file has, in order.
func FuzzParseRegistry(f *testing.F) {
	f.Add([]byte(strings.ReplaceAll(goodFile, "DIGEST", good)))
	for _, row := range mistakes() {
		f.Add([]byte(strings.ReplaceAll(strings.Replace(goodFile, row.old, row.new, 1), "DIGEST", good)))
	}
	f.Add([]byte("resources: [{audience: 'https://a'}]\nclients: [{id: a, secrets: [{sha256: " + good + "}], allow: [{resource: 'https://a'}]}]\n"))
	f.Add([]byte("a: &a [*a]\n? {}\n: []\n--- !!set\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		registry, problems := clients.Parse(text, t.TempDir(), noon)
		lines, last := strings.Count(string(text), "\n")+strings.Count(string(text), "\r")+1, 0
		for _, p := range problems {
			if p.Line < last || p.Line > lines+2 || p.Text == "" { // line ends of YAML 1.1 are more than these two
				if !strings.ContainsAny(string(text), "\u0085\u2028\u2029") {
					t.Errorf("problem %+v after line %d, of %d lines", p, last, lines)
				}
			}
			last = p.Line
		}
		if len(problems) > 0 {
			return
		}
		if registry == nil || len(registry.Algorithms()) == 0 {
			t.Errorf("neither mistakes nor a registry with resources")
		}
	})
}
