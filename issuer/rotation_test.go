package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/signet/keys/keystest"
	"example.com/signet/keys/keystest/pgtest"
)

// While one master key replaces another, in the order that the help names, two issuers serve on: at no moment are their keys
// gone, or any trouble. One of them has a file of its own.
func TestMasterKeyRotation(t *testing.T) {
	t.Parallel()
	registry, secret := keyed(t)
	h := newDatabaseHome(t, pgtest.Shared(t).NewDatabase(t), registry)
	text, err := os.ReadFile(h.path("master.key"))
	h.must(err)
	h.write("own.key", text)
	issuers := []*program{h.start(unlimited()...), h.start(append(unlimited(), "--master-key-file", h.path("own.key"))...)}
	var watches []func() int
	for _, p := range issuers {
		kids, err := p.published()
		h.must(err)
		watches = append(watches, p.watched(kids, secret))
	}

	first := h.masterKeys()[0]
	second := h.ok("master-key", "generate", "--append", h.path("master.key"))
	text, err = os.ReadFile(h.path("master.key"))
	h.must(err)
	h.write("own.key", text)
	if got := h.ok("master-key", "rotate"); got != second {
		t.Errorf("rotated to %q, want %q", got, second)
	}
	last := text[bytes.IndexByte(text, '\n')+1:]
	h.write("master.key", last)
	h.write("own.key", last)
	if got, want := h.masterKeys(), []string{second}; !slices.Equal(got, want) || first == second {
		t.Errorf("master keys %q, want %q, after %q", got, want, first)
	}
	h.ok("keys", "generate", "--alg", "RS256") // sealed under the second alone
	for i, p := range issuers {
		h.must(until(func() error { return p.metric(`signet_keys{alg="RS256",state="active"} 1`) }))
		if seen := watches[i](); seen < 10 {
			t.Errorf("issuer %d was looked at only %d times", i+1, seen)
		}
		p.stop()
		if err := p.logged(`"level":"ERROR"`); err == nil {
			t.Errorf("issuer %d:\n%s", i+1, p.log)
		}
	}
}

// masterKeys returns the ids of the file's keys, of which the last one seals.
func (h *home) masterKeys() (ids []string) {
	h.t.Helper()
	for line := range strings.Lines(h.ok("master-key", "list")) {
		if id, _, _ := strings.Cut(line, " "); id != "ID" {
			ids = append(ids, id)
		}
	}
	return ids
}

// watched looks at a program until what it returns is called, and fails the test when those keys are not published, a token
// is refused or the keys are in trouble. It returns how often it has looked.
func (p *program) watched(kids []string, secret string) (end func() int) {
	ended, seen := make(chan struct{}), 0
	look := func() error {
		got, err := p.withSecret("legacy", secret)
		if err := wants(200, got, err); err != nil {
			return err
		}
		published, err := p.published()
		if err != nil {
			return err
		}
		for _, kid := range kids {
			if !slices.Contains(published, kid) {
				return fmt.Errorf("published are %q", published)
			}
		}
		return p.metric("signet_keys_trouble 0")
	}
	var running sync.WaitGroup
	running.Go(func() {
		again := time.NewTicker(10 * time.Millisecond)
		defer again.Stop()
		for ; ; seen++ {
			if err := look(); err != nil {
				p.home.t.Errorf("%v:\n%s", err, p.log)
				return
			}
			select {
			case <-ended:
				return
			case <-again.C:
			}
		}
	})
	return func() int {
		close(ended)
		running.Wait()
		return seen
	}
}

// An issuer whose file does not have the new master key serves the keys that it knows, says so, and takes over what is new
// when it has the file.
func TestMasterKeyNotThereYet(t *testing.T) {
	t.Parallel()
	registry, secret := keyed(t)
	onEachDatabase(t, registry, func(h *home) {
		text, err := os.ReadFile(h.path("master.key"))
		h.must(err)
		h.write("own.key", text)
		p := h.start(append(unlimited(), "--master-key-file", h.path("own.key"))...)
		known, err := p.published()
		h.must(err)
		second := h.ok("master-key", "generate", "--append", h.path("master.key"))
		h.ok("master-key", "rotate")
		h.ok("keys", "revoke", "--all")

		h.must(until(func() error { return p.metric("signet_keys_trouble 1") }))
		cause := "wrong master key: the signing keys are sealed under " + second
		p.log.await(h.t, p.ended, "keeping the keys failed; serving those from before", cause)
		if status, text := p.verbose(); status != 200 || !strings.Contains(text, "trouble keys: "+cause) {
			h.t.Errorf("/readyz?verbose: %d\n%s", status, text)
		}
		got, err := p.withSecret("legacy", secret)
		h.must(wants(200, got, err))
		got, err = p.assert("billing", keystest.Key(keystest.ES256Other))
		h.must(wants(200, got, err))
		if kids, err := p.published(); err != nil || !slices.Equal(kids, known) {
			h.t.Errorf("published %q, error %v, want %q", kids, err, known)
		}

		text, err = os.ReadFile(h.path("master.key"))
		h.must(err)
		h.write("own.key", text)
		h.must(until(func() error { return p.metric("signet_keys_trouble 0") }))
		kids, err := p.published()
		h.must(err)
		if slices.Contains(kids, known[0]) || slices.Contains(kids, known[1]) {
			h.t.Errorf("published %q, and those from before were %q", kids, known)
		}
		p.stop()
	})
}
