package main

import (
	"slices"
	"strings"
	"testing"

	"example.com/signet/keys"
)

// A row of a signing key that somebody has changed by hand, in whatever column, is served by nobody who starts after that.
// The others serve, and it shows until the row is given up.
func TestKeyRowChangedByHand(t *testing.T) {
	t.Parallel()
	registry, secret := keyed(t)
	for name, change := range map[string]string{
		"sealed":       "sealed = (SELECT sealed FROM signet_keys WHERE kid <> $1)",
		"empty":        "sealed = substr(sealed, 1, 0)",
		"signs_from":   "signs_from = signs_from - 3600",
		"published_at": "published_at = published_at - 90000",
		"alg":          "alg = 'RS256'",
		"master_key":   "master_key = 'ba63f1bccd7c2943'",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEachDatabase(t, registry, func(h *home) {
				active, standby := h.kid(keys.Active), h.kid(keys.Standby)
				h.sql("UPDATE signet_keys SET "+change+" WHERE kid = $1", standby)
				p := h.start(unlimited()...)
				p.servesWithout(standby, active)
				got, err := p.withSecret("legacy", secret)
				h.must(wants(200, got, err))
				h.ok("keys", "revoke", "--", standby)
				h.must(until(func() error { return p.metric("signet_keys_trouble 0") }))
				h.must(until(func() error { return p.metric(`signet_keys{alg="ES256",state="standby"} 1`) }))
				if status, text := p.verbose(); status != 200 || strings.Contains(text, "trouble") {
					h.t.Errorf("/readyz?verbose: %d\n%s", status, text)
				}
				p.stop()
			})
		})
	}
}

// servesWithout wants a damaged key not to be published, and everything to tell of it.
func (p *program) servesWithout(damaged, active string) {
	p.home.t.Helper()
	t := p.home.t
	kids, err := p.published()
	p.home.must(err)
	if kids[0] != active || slices.Contains(kids, damaged) {
		t.Errorf("published %q, want %q first and no %q", kids, active, damaged)
	}
	cause := "damaged key: row \"" + damaged + "\" of signet_keys: "
	entry := p.log.await(t, p.ended, "a key is damaged; serving the others")
	if told, _ := entry["cause"].(string); !strings.HasPrefix(told, cause) {
		t.Errorf("the log tells %q, want %q", told, cause)
	}
	p.home.must(until(func() error { return p.metric("signet_keys_trouble 1") }))
	status, text := p.verbose()
	if status != 200 || !strings.Contains(text, "trouble keys: "+cause) || !strings.HasSuffix(text, "\nready\n") {
		t.Errorf("/readyz?verbose: %d\n%s", status, text)
	}
}

// One that was good when the issuer started and is changed by hand is kept from memory: tokens that it has signed are good
// still. It shows as soon as the keys are read again.
func TestKeyRowChangedWhileServing(t *testing.T) {
	t.Parallel()
	registry, secret := keyed(t)
	onEachDatabase(t, registry, func(h *home) {
		active, standby := h.kid(keys.Active), h.kid(keys.Standby)
		p := h.start(unlimited()...)
		h.sql("UPDATE signet_keys SET sealed = substr(sealed, 1, 20) WHERE kid = $1", active)
		h.ok("master-key", "generate", "--append", h.path("master.key")) // which is why they are read again
		h.must(until(func() error { return p.metric("signet_keys_trouble 1") }))
		kids, err := p.published()
		h.must(err)
		if want := []string{active, standby}; !slices.Equal(kids, want) {
			h.t.Errorf("published %q, want %q", kids, want)
		}
		got, err := p.withSecret("legacy", secret)
		h.must(wants(200, got, err))
		if status, text := p.verbose(); status != 200 || !strings.Contains(text, `trouble keys: damaged key: row "`+active+`"`) {
			h.t.Errorf("/readyz?verbose: %d\n%s", status, text)
		}
		p.stop()
	})
}

// Without the key that signs there is nothing to serve with: the start is refused, and says what to do.
func TestActiveKeyRowChangedByHand(t *testing.T) {
	t.Parallel()
	registry, secret := keyed(t)
	onEachDatabase(t, registry, func(h *home) {
		active := h.kid(keys.Active)
		h.sql("UPDATE signet_keys SET sealed = substr(sealed, 1, 20) WHERE kid = $1", active)
		p := h.launch(unlimited()...)
		p.end(exitUsage)
		for _, text := range []string{
			"a key is damaged; serving the others", active, "error: no key signs at this time: ES256\n",
		} {
			if err := p.logged(text); err != nil {
				h.t.Errorf("%v:\n%s", err, p.log)
			}
		}
		h.must(until(func() error { return h.try("keys", "revoke", "--", active) })) // not in the very second of its making
		h.ok("keys", "generate", "--alg", "ES256")
		p = h.start(unlimited()...)
		got, err := p.withSecret("legacy", secret)
		h.must(wants(200, got, err))
		p.stop()
	})
}
