package clients_test

import (
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
