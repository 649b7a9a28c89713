package main

import (
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"example.com/signet/keys/keystest"
	"example.com/signet/keys/keystest/pgtest"
)

// present sends an assertion and wants it refused as one that was used, or granted.
func (p *program) present(step string, form url.Values, granted bool) {
	p.home.t.Helper()
	got, err := ask(impatient, p.at(), form)
	want := 401
	if granted {
		want = 200
	}
	if err := wants(want, got, err); err != nil {
		p.home.t.Errorf("%s: %v", step, err)
	}
	if !granted {
		p.log.await(p.home.t, p.ended, "audit", `"event":"token.refused"`, `"cause":"assertion: jti was used before"`)
	}
}

// An assertion works once, whoever is asked, and whoever has been killed since.
func TestAssertionSpentAtReplicas(t *testing.T) {
	t.Parallel()
	registry, _ := keyed(t)
	h := newDatabaseHome(t, pgtest.Shared(t).NewDatabase(t), registry)
	a, b := h.start(unlimited()...), h.start(unlimited()...)
	first := asserted(t, common, "billing", keystest.Key(keystest.ES256Other))
	a.present("at one", first, true)
	a.present("at the same again", first, false)
	b.present("at the other", first, false)
	second := asserted(t, common, "billing", keystest.Key(keystest.ES256Other))
	b.present("another, at the other", second, true)
	for _, p := range []*program{a, b} {
		p.signal(syscall.SIGKILL)
		p.end(-1)
	}
	a = h.start(unlimited()...)
	a.present("after a restart", first, false)
	a.present("the other's, after a restart", second, false)
	a.present("a third", asserted(t, common, "billing", keystest.Key(keystest.ES256Other)), true)
	a.stop()
}

// An issuer that is killed as soon as it has granted a token remembers what it was granted for.
func TestAssertionSpentBeforeKill(t *testing.T) {
	t.Parallel()
	registry, _ := keyed(t)
	onEachDatabase(t, registry, func(h *home) {
		for range 3 {
			p := h.start(unlimited()...)
			form := asserted(h.t, common, "billing", keystest.Key(keystest.ES256Other))
			p.present("once", form, true)
			p.signal(syscall.SIGKILL)
			p.end(-1)
			p = h.start(unlimited()...)
			p.present("after a kill", form, false)
			p.stop()
		}
	})
}

// However many present an assertion at one moment, at whichever issuer, one of them gets a token.
func TestAssertionPresentedByMany(t *testing.T) {
	t.Parallel()
	registry, _ := keyed(t)
	onEachDatabase(t, registry, func(h *home) {
		issuers := []*program{h.start(unlimited()...)}
		if !strings.HasPrefix(h.database(), "sqlite:") {
			issuers = append(issuers, h.start(unlimited()...))
		}
		for range 20 {
			form := asserted(h.t, common, "billing", keystest.Key(keystest.ES256Other))
			var granted atomic.Int32
			var asking sync.WaitGroup
			for i := range 8 {
				asking.Go(func() {
					got, err := ask(impatient, issuers[i%len(issuers)].at(), form)
					if err != nil || got.status != 200 && got.status != 401 {
						h.t.Errorf("answer %v, error %v", got, err)
					}
					if got.status == 200 {
						granted.Add(1)
					}
				})
			}
			asking.Wait()
			if granted.Load() != 1 {
				h.t.Fatalf("%d tokens for one assertion", granted.Load())
			}
		}
		for _, p := range issuers {
			p.stop()
		}
	})
}
