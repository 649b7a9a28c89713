package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// generationYAML is a registry in which everything bears the number n, with a client that is in every one of them. Its
// length differs, so that what is left of another would show.
func generationYAML(n int, secretLine string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "resources:\n  - {audience: 'https://orders.example.com', scopes: [g%[1]d]}\nclients:\n", n)
	for i := range n % 7 {
		fmt.Fprintf(&text, "  - {id: other%[2]d, %[3]s, "+
			"allow: [{resource: 'https://orders.example.com', scopes: [g%[1]d]}]}\n", n, i, secretLine)
	}
	fmt.Fprintf(&text, "  - {id: billing, %[2]s, allow: [{resource: 'https://orders.example.com', scopes: [g%[1]d], "+
		"default_scopes: [g%[1]d]}]}\n", n, secretLine)
	return text.String()
}

// A registry that is replaced a thousand times as fast as it can be, with the issuer told each time, harms nobody: a
// client that is in each of them gets a token at every moment, of one generation, and never of one before the last.
func TestRegistryReplacedAThousandTimes(t *testing.T) {
	t.Parallel()
	secret, line := freshSecret()
	h := newHome(t, generationYAML(1, line))
	p := h.start(unlimited()...)
	const last = 1000
	var written atomic.Int64
	written.Store(1)
	seen := p.fetchers(8, secret, &written, last)
	for n := 2; n <= last; n++ {
		written.Store(int64(n)) // before it is there
		h.write("registry.yaml", []byte(generationYAML(n, line)))
		p.signal(syscall.SIGHUP)
	}
	if generations := seen(); generations < 10 {
		t.Errorf("only %d generations were seen", generations)
	}
	h.must(until(func() error { return p.metric("signet_registry_trouble 0") }))
	for line := range strings.Lines(p.log.String()) {
		if strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, "token.refused") {
			t.Errorf("log: %s", line)
		}
	}
	p.stop()
}

// fetchers fetch tokens until they have seen the last generation. What it returns waits for them, and returns how many
// generations they have seen in the mean.
func (p *program) fetchers(count int, secret string, written *atomic.Int64, last int) (wait func() int) {
	var running sync.WaitGroup
	var generations atomic.Int64
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: count}}
	for range count {
		running.Go(func() {
			for before, end := 0, time.Now().Add(30*time.Second); before < last; {
				if time.Now().After(end) {
					p.home.t.Errorf("generation %d is served still", before)
					return
				}
				got, err := ask(client, p.issuer, withSecret("billing", secret))
				latest := int(written.Load())
				n, notNumber := strconv.Atoi(strings.TrimPrefix(got.scope, "g"))
				if err != nil || got.status != http.StatusOK || notNumber != nil || n < before || n > latest {
					p.home.t.Errorf("%v, scope %q after generation %d, error %v", got, got.scope, before, err)
					return
				}
				if n > before {
					generations.Add(1)
				}
				before = n
			}
		})
	}
	return func() int {
		running.Wait()
		client.CloseIdleConnections()
		return int(generations.Load()) / count
	}
}

// An issuer that is killed in the midst of reloads leaves nothing behind that keeps the next from starting, and that
// one serves the registry as it is by then.
func TestKilledWhileReloading(t *testing.T) {
	t.Parallel()
	secret, line := freshSecret()
	h := newHome(t, generationYAML(1, line))
	for round := range 5 {
		p := h.start(unlimited()...)
		expect := fmt.Sprintf("g%d", 1+round*20)
		if got, err := ask(http.DefaultClient, p.issuer, withSecret("billing", secret)); err != nil || got.scope != expect {
			t.Fatalf("round %d: %v, scope %q, want %q, error %v", round, got, got.scope, expect, err)
		}
		for n := range 20 {
			text := []byte(generationYAML(2+round*20+n, line))
			if n%3 == 0 { // half of it in place first, as a careless writer does
				h.must(os.WriteFile(h.path("registry.yaml"), text[:len(text)/2], 0o600))
				p.signal(syscall.SIGHUP)
			}
			h.write("registry.yaml", text)
			p.signal(syscall.SIGHUP)
		}
		p.signal(syscall.SIGKILL)
		p.end(-1)
		if strings.Contains(p.log.String(), "panic") {
			t.Fatalf("round %d:\n%s", round, p.log)
		}
	}
	names, err := os.ReadDir(h.dir)
	h.must(err)
	for _, name := range names {
		if name := name.Name(); name != "keys" && name != "registry.yaml" && !strings.HasPrefix(name, "keys.db") {
			t.Errorf("%s is left, besides the keys, the registry and the database", name)
		}
	}
}
