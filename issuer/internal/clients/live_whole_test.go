package clients_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/signet/issuer/internal/clients"
)

// readers look at the registry all the time, and fail the test when it is ever not of one generation. What it returns
// ends them, once they have looked.
func (f *liveFile) readers(count int) (stop func()) {
	var ending atomic.Bool
	var running sync.WaitGroup
	for range count {
		running.Go(func() {
			for last := false; !last; {
				last = ending.Load()
				if err := checkWhole(f.live.Registry()); err != nil {
					f.t.Error(err)
					return
				}
				runtime.Gosched() // the writer is to come in between, not after a whole slice of time
			}
		})
	}
	return func() {
		ending.Store(true)
		running.Wait()
	}
}

// Whoever looks at the registry while others are put into its place sees one of them, whole.
func TestLiveIsWholeForEverybody(t *testing.T) {
	t.Parallel()
	f := openLive(t, generation(1, 5))
	defer f.readers(4)()
	for n := 2; n <= 200; n++ {
		if n%10 == 0 {
			f.replace(generation(n, 5)[:60]) // a mistake in between
		} else {
			f.replace(generation(n, 1+n%10))
		}
		f.look(n%3 > 0)
	}
	f.look(true)
}

// A file that is written while it is looked at, cut at every line and every hundredth octet: at one look it changes
// nothing, and when it is whole at the next, it never did. If it stands still as it is cut, it is served if it says
// something, or refused as a whole.
func TestLiveHalfWritten(t *testing.T) {
	t.Parallel()
	whole := generation(2, 8)
	f := openLive(t, generation(1, 8))
	defer f.readers(2)()
	served := 0
	for _, cut := range cuts(whole) {
		f.replace(generation(1, 8))
		f.look(true)
		f.log.take()

		f.write(whole[:cut])
		f.look(false)
		f.serves(1)
		f.write(whole)
		f.look(false)
		f.serves(1)
		f.logged()
		f.look(false)
		f.serves(2)
		f.logged("registry read")

		f.replace(generation(1, 8))
		f.look(true)
		f.write(whole[:cut])
		f.look(false)
		f.serves(1)
		if f.look(false) == nil {
			served++
			f.serves(2)
			continue
		}
		f.serves(1)
	}
	if served < 3 || served == len(cuts(whole)) {
		t.Errorf("%d of %d cuts say something; both kinds are wanted here", served, len(cuts(whole)))
	}
}

// cuts are where to cut a text: behind each line, and at every hundredth octet.
func cuts(text string) (at []int) {
	for i := range text {
		if i > 0 && (text[i-1] == '\n' || i%100 == 0) {
			at = append(at, i)
		}
	}
	return at
}

// What is read is what stood still: a file in which somebody begins to write at that moment is left for later looks.
func TestLiveReadsWhatStoodStill(t *testing.T) {
	t.Parallel()
	var f *liveFile
	text := generation(3, 3)
	half := text[:strings.Index(text, "  - id: c002")]
	begin := func() {}
	f = openLive(t, generation(1, 3), now(func() time.Time {
		begin() // called between looking at the file and reading it
		return time.Now()
	}))
	f.replace(generation(2, 3))
	f.look(false)
	begin = func() {
		begin = func() {}
		f.write(half)
	}
	f.look(false)
	if got := f.live.Registry().Len(); got != 3 {
		t.Errorf("a file with %d of 3 clients is served, which has not stood still", got)
	}
	f.write(text)
	f.look(false)
	f.look(false)
	f.serves(3)
}

// The last use of a secret outlives a reload, for the same secret of the same client and for no other.
func TestLiveCarriesLastUse(t *testing.T) {
	t.Parallel()
	f := openLive(t, usesYAML(`
  - {id: billing, secrets: [{sha256: OLD}, {sha256: NEW}], ALLOW}
  - {id: reports, secrets: [{sha256: OLD}], ALLOW}`))
	used := time.Date(2026, 11, 23, 10, 15, 0, 0, time.UTC)
	before := f.secret("billing", 0)
	before.Use(used)
	f.lastUse("billing", 0, used)
	f.lastUse("billing", 1, time.Time{})
	f.lastUse("reports", 0, time.Time{}) // the same secret, and not the same client

	// The client's secrets change places, one is another, and another client has one that was used by this one.
	f.replace(usesYAML(`
  - {id: billing, name: Renamed, secrets: [{sha256: THIRD}, {sha256: OLD}], ALLOW}
  - {id: other, secrets: [{sha256: OLD}], ALLOW}`))
	f.look(true)
	f.lastUse("billing", 0, time.Time{})
	f.lastUse("billing", 1, used)
	f.lastUse("other", 0, time.Time{})

	// A request that began before the reload still counts.
	before.Use(used.Add(time.Minute))
	f.lastUse("billing", 1, used.Add(time.Minute))

	// A client that is disabled for a while keeps it, and so does one through a file with a mistake.
	f.replace(usesYAML(`
  - {id: billing, enabled: false, secrets: [{sha256: OLD}], ALLOW}`))
	f.look(true)
	f.replace("")
	f.look(true)
	f.replace(usesYAML(`
  - {id: billing, secrets: [{sha256: NEW}, {sha256: OLD, expires: 2126-01-01T00:00:00Z}], ALLOW}`))
	f.look(true)
	f.lastUse("billing", 0, time.Time{})
	f.lastUse("billing", 1, used.Add(time.Minute))
}

func TestSecretUse(t *testing.T) {
	t.Parallel()
	moment := time.Date(2026, 11, 23, 10, 15, 0, 999, time.UTC)
	f := openLive(t, generation(1, 1))
	secret := f.secret("c000", 0)
	if !secret.LastUse().IsZero() {
		t.Errorf("last use %v of a secret that nobody used", secret.LastUse())
	}
	secret.Use(moment)
	secret.Use(moment.Add(-time.Hour)) // a clock that is put back
	if got := secret.LastUse(); !got.Equal(moment.Truncate(time.Second)) {
		t.Errorf("last use %v, want %v to the second", got, moment)
	}
	if got := secret.Name(); got != digestOf("secret")[:8] {
		t.Errorf("name %q", got)
	}
	t.Run("not kept", func(t *testing.T) {
		secret := secretOf("x", time.Time{})
		secret.Use(moment)
		if !secret.LastUse().IsZero() {
			t.Errorf("last use %v of a secret in no registry", secret.LastUse())
		}
	})
	t.Run("by many, while the registry is read again", func(t *testing.T) {
		f := openLive(t, generation(1, 1))
		var running sync.WaitGroup
		for i := range 4 {
			running.Go(func() {
				for n := range 500 {
					f.secret("c000", 0).Use(moment.Add(time.Duration(n*4+i) * time.Hour))
				}
			})
		}
		for n := range 50 {
			f.replace(generation(2+n, 1))
			f.look(true)
		}
		running.Wait()
		if got := f.secret("c000", 0).LastUse(); got.Before(moment.Add(499 * 4 * time.Hour).Truncate(time.Second)) {
			t.Errorf("last use %v", got)
		}
	})
}

func TestGenerateSecret(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for range 100 {
		text, digest := clients.GenerateSecret()
		if len(text) != 43 || strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Fatalf("%q is not 256 bits in characters that no encoding changes", text)
		}
		if seen[text] {
			t.Fatalf("%q came twice", text)
		}
		seen[text] = true
		if parsed, err := clients.ParseDigest(digestOf(text)); err != nil || parsed != digest {
			t.Fatalf("digest %x is not that of %q", digest, text)
		}
		client := &clients.Client{Enabled: true, Secrets: []clients.Secret{{Digest: digest}}}
		if client.MatchSecret(text, noon) != &client.Secrets[0] || client.MatchSecret(text[1:], noon) != nil {
			t.Fatalf("%q does not match", text)
		}
	}
}

// usesYAML is a registry with those clients.
func usesYAML(list string) string {
	return strings.NewReplacer("OLD", digestOf("old"), "NEW", digestOf("new"), "THIRD", digestOf("third"),
		"ALLOW", "allow: [{resource: 'https://api.example.com'}]").Replace(
		"resources: [{audience: 'https://api.example.com'}]\nclients:" + list + "\n")
}

// secret is the client's secret as it is served.
func (f *liveFile) secret(id string, i int) *clients.Secret {
	client, err := f.live.Registry().Client(f.t.Context(), id)
	if err != nil {
		panic(fmt.Sprint(id, ": ", err)) // it may not be the test's goroutine
	}
	return &client.Secrets[i]
}

func (f *liveFile) lastUse(id string, i int, want time.Time) {
	f.t.Helper()
	if got := f.secret(id, i).LastUse(); !got.Equal(want) {
		f.t.Errorf("last use of secret %d of %s: %v, want %v", i, id, got, want)
	}
}
