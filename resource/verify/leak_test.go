package verify_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// leakBench is a verifier that the test closes, over a network that it can take down.
type leakBench struct {
	sourceBench
	transport *http.Transport
	wg        sync.WaitGroup
}

func newLeakBench(t *testing.T, fail http.HandlerFunc, fetch verify.Fetch) *leakBench {
	t.Helper()
	b := &leakBench{transport: &http.Transport{}}
	b.server, b.clock = keystest.NewServer(keystest.Set(keystest.ES256)), keystest.NewClock()
	b.server.Fail(fail)
	fetch.Client = &http.Client{Transport: b.transport}
	v, err := verify.New(verify.Config{Issuer: b.server.Issuer(), Audience: audience, Now: b.clock.Now, Fetch: fetch})
	if err != nil {
		t.Fatal(err)
	}
	b.Verifier = v
	return b
}

// wait lets n callers wait for a key that never comes.
func (b *leakBench) wait(t *testing.T, n int, want error) {
	for i := range n {
		unknown := b.unknownKid(fmt.Sprint("nobody-", i))
		b.wg.Go(func() { check(t, b.Verifier, unknown, want) })
	}
}

// Not parallel: it looks at all goroutines. Close in every state ends the goroutine and lets go who waits.
func TestCloseInEveryState(t *testing.T) {
	for _, state := range []struct {
		name  string
		fail  http.HandlerFunc
		fetch verify.Fetch
		reach func(t *testing.T, b *leakBench)
	}{
		{"before the first fetch", nil, verify.Fetch{}, func(*testing.T, *leakBench) {}},
		{"during the first fetch", hang, verify.Fetch{}, func(t *testing.T, b *leakBench) {
			eventually(t, "a fetch", func() bool { return b.server.Fetches() > 0 })
		}},
		{"callers wait for the first fetch", hang, verify.Fetch{Wait: time.Minute}, func(t *testing.T, b *leakBench) {
			b.wait(t, 20, verify.ErrUnavailable)
			eventually(t, "a fetch", func() bool { return b.server.Fetches() > 0 })
		}},
		{"after it failed", status(500), verify.Fetch{}, func(t *testing.T, b *leakBench) {
			eventually(t, "the second attempt", func() bool { return b.server.Fetches() > 1 })
		}},
		{"after it went well", nil, verify.Fetch{}, func(t *testing.T, b *leakBench) { ready(t, b.Verifier) }},
		{"tokens in the cache", nil, verify.Fetch{}, func(t *testing.T, b *leakBench) {
			for range 3 {
				check(t, b.Verifier, b.token(keystest.ES256), nil)
			}
		}},
		{"callers wait for a fetch that hangs", nil, verify.Fetch{Wait: 20 * time.Second}, func(t *testing.T, b *leakBench) {
			ready(t, b.Verifier)
			check(t, b.Verifier, b.unknown(), verify.ErrUnknownKey) // the first fetch has ended, and its cool-down begun
			b.server.Fail(hang)
			b.clock.Advance(time.Hour)
			b.wait(t, 20, verify.ErrUnknownKey)
			eventually(t, "a fetch", func() bool { return b.server.Fetches() > 1 })
		}},
		{"callers wait for the end of a cool-down", nil, verify.Fetch{Wait: time.Minute, Cooldown: time.Minute},
			func(t *testing.T, b *leakBench) {
				ready(t, b.Verifier)
				b.wait(t, 20, verify.ErrUnknownKey)
			}},
	} {
		t.Run(state.name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			b := newLeakBench(t, state.fail, state.fetch)
			state.reach(t, b)
			start := time.Now()
			b.Close()
			b.wg.Wait()
			b.Close()
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("closing took %v", took)
			}
			b.transport.CloseIdleConnections()
			b.server.Close()
			goleak.VerifyNone(t, before)
		})
	}
}
