package main

import (
	"slices"
	"testing"

	"example.com/signet/keys/keystest"
	"example.com/signet/keys/keystest/pgtest"
)

// Three issuers that find nothing in their database make its schema once, and none of them serves without keys. Three that
// find a key without a standby make one, the same for all.
func TestIssuersStartAtOnce(t *testing.T) {
	t.Parallel()
	registry, secret := keyed(t)
	slow := &gate{slow: "CREATE TABLE signet_revision"} // so that each of them comes before it is done
	h := newEmptyHome(t, slow.open(t, pgtest.Shared(t).NewDatabase(t)), registry)
	migrated := 0
	for _, p := range launchThree(h) {
		p.end(exitUsage)
		if err := p.logged("error: no keys in the database (PostgreSQL database "); err != nil {
			t.Errorf("%v:\n%s", err, p.log)
		}
		if p.log.find("database migrated") != nil {
			migrated++
		}
	}
	if migrated != 1 {
		t.Errorf("the schema was made %d times", migrated)
	}

	h.write("first.pem", keystest.PEM(keystest.ES256))
	h.ok("keys", "import", h.path("first.pem"), "--registry", h.path("registry.yaml"))
	h.ok("registry", "apply", "-f", h.path("registry.yaml"))
	issuers := launchThree(h)
	var all [][]string
	for _, p := range issuers {
		p.serves()
		h.must(until(func() error { return p.metric(`signet_keys{alg="ES256",state="standby"} 1`) }))
		kids, err := p.published()
		h.must(err)
		all = append(all, kids)
		got, err := p.withSecret("legacy", secret)
		if err := wants(200, got, err); err != nil {
			t.Error(err)
		}
	}
	if len(all[0]) != 2 || !slices.Equal(all[0], all[1]) || !slices.Equal(all[0], all[2]) {
		t.Errorf("they publish %q", all)
	}
	for _, p := range issuers {
		p.stop()
		if err := p.logged(`"level":"ERROR"`); err == nil {
			t.Errorf("log:\n%s", p.log)
		}
	}
}

func launchThree(h *home) (all []*program) {
	for range 3 {
		all = append(all, h.launch(unlimited()...))
	}
	return all
}
