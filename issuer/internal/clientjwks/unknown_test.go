package clientjwks_test

import (
	"crypto/rand"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/signet/issuer/internal/clientjwks"
	"example.com/signet/keys/keystest"
)

// Whoever invents kids causes one fetch per cool-down, which counts from the end of the last one, failed or not.
func TestUnknownKidsBurst(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]bool{"answering": false, "failing": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &site{names: []string{keystest.ES256}}
				k := inBubble(t, clientjwks.Config{}, s)
				get(t, k, bubbleURI, "", keystest.ES256)
				s.change(func(s *site) {
					if fail {
						s.fail = status(500)
					}
				})
				burst := func(want int) {
					t.Helper()
					var wg sync.WaitGroup
					for range 100 {
						wg.Go(func() {
							for range 100 {
								get(t, k, bubbleURI, rand.Text(), keystest.ES256)
							}
						})
					}
					wg.Wait()
					wantFetches(t, s, want)
				}
				start := time.Now()
				burst(1) // the first fetch was a moment ago
				sinceFetch(start, 30*time.Second-1)
				burst(1)
				sinceFetch(start, 30*time.Second)
				burst(2)
				sinceFetch(start, 60*time.Second-1)
				burst(2)
				sinceFetch(start, 60*time.Second)
				burst(3)
				took(t, start, time.Minute)
			})
		})
	}
}

// A new key is found by the first caller that names it and by those that join it; known kids wait for nothing.
func TestNewKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &site{names: []string{keystest.ES256}}
		k := inBubble(t, clientjwks.Config{}, s)
		get(t, k, bubbleURI, "", keystest.ES256)
		time.Sleep(30 * time.Second)
		s.change(func(s *site) { s.names = append(s.names, keystest.RS256); s.slow = time.Second })
		start := time.Now()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				get(t, k, bubbleURI, kid(keystest.RS256), keystest.ES256, keystest.RS256)
				took(t, start, time.Second)
			})
		}
		synctest.Wait()
		for range 100 {
			get(t, k, bubbleURI, kid(keystest.ES256), keystest.ES256)
			get(t, k, bubbleURI, "", keystest.ES256)
		}
		took(t, start, 0)
		wg.Wait()
		wantFetches(t, s, 2)
	})
}

// A fetch that hangs holds a caller with an unknown kid for 2 s; the set that there is decides then. The cool-down
// counts from the end of the fetch.
func TestUnknownKidHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &site{names: []string{keystest.ES256}}
		k := inBubble(t, clientjwks.Config{Cooldown: 10 * time.Second}, s)
		get(t, k, bubbleURI, "", keystest.ES256)
		s.change(func(s *site) { s.fail = hang })
		time.Sleep(10 * time.Second)
		start := time.Now()
		get(t, k, bubbleURI, "unknown", keystest.ES256)
		took(t, start, 2*time.Second)
		sinceFetch(start, 15*time.Second-1)
		get(t, k, bubbleURI, "unknown", keystest.ES256)
		took(t, start, 15*time.Second-1)
		wantFetches(t, s, 2)
		time.Sleep(time.Nanosecond)
		get(t, k, bubbleURI, "unknown", keystest.ES256)
		took(t, start, 17*time.Second)
		wantFetches(t, s, 3)
	})
}

// Where no key is, unknown kids are no way around the cool-down; the kid matters for its own uri only.
func TestUnknownKidOfOneURI(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &site{names: []string{keystest.ES256}, fail: status(500)}
		k := inBubble(t, clientjwks.Config{}, s)
		for range 1000 {
			_, err := k.Keys(t.Context(), bubbleURI, rand.Text())
			wantUnavailable(t, err)
		}
		wantFetches(t, s, 1)
		s.change(func(s *site) { s.fail = nil })
		get(t, k, bubbleURI+"other", kid(keystest.ES256), keystest.ES256)
		_, err := k.Keys(t.Context(), bubbleURI, kid(keystest.ES256))
		wantUnavailable(t, err)
		wantFetches(t, s, 2)
	})
}
