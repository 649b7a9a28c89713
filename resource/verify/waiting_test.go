package verify_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// 50 callers with unknown kids share one fetch, and each gets the verdict when it ends.
func TestUnknownKidSharesOneFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(keystest.ES256)
		v := startBubble(t, b.config())
		time.Sleep(cooldown)
		b.change(func(b *bubble) { b.set = keystest.Set(keystest.ES256, keystest.RS256); b.jwks = b.slowly(time.Second) })
		before, start := len(b.times()), time.Now()
		fresh, unknown := bubbleToken(keystest.RS256), bubbleToken(keystest.ES256Other)
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				if i%2 == 0 {
					check(t, v, fresh, nil)
				} else {
					check(t, v, unknown, verify.ErrUnknownKey)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v, the fetch takes 1 s", took)
		}
		if n := len(b.times()) - before; n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
}

// A caller that gives up does so at once, alone, and does not take the fetch with it.
func TestCallerGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(keystest.ES256)
		v := startBubble(t, b.config())
		time.Sleep(cooldown)
		b.change(func(b *bubble) { b.set = keystest.Set(keystest.RS256); b.jwks = b.slowly(time.Second) })
		fresh, start := bubbleToken(keystest.RS256), time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := v.Verify(ctx, fresh)
			wantError(t, err, verify.ErrUnavailable)
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 100*time.Millisecond {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		})
		wg.Go(func() {
			check(t, v, fresh, nil)
			if took := time.Since(start); took != time.Second {
				t.Errorf("took %v", took)
			}
		})
		wg.Wait()
	})
}

// A JWK Set that hangs, or trickles, delays nobody whose key is known; the others wait for 2 s at most. The fetch
// itself ends after 5 s.
func TestHangingIssuer(t *testing.T) {
	t.Parallel()
	for name, metadata := range map[string]bool{"JWK Set": false, "metadata": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(keystest.ES256)
				v := startBubble(t, b.config())
				good, unknown := bubbleToken(keystest.ES256), bubbleToken(keystest.RS256)
				time.Sleep(cooldown)
				b.change(func(b *bubble) {
					if metadata {
						b.metadata = hang
					} else {
						b.jwks = hang
					}
				})
				start := time.Now()
				var wg sync.WaitGroup
				wg.Go(func() {
					check(t, v, unknown, verify.ErrUnknownKey)
					if took := time.Since(start); took != 2*time.Second {
						t.Errorf("an unknown kid took %v", took)
					}
				})
				synctest.Wait() // the fetch hangs
				for range 100 {
					check(t, v, good, nil)
				}
				if took := time.Since(start); took != 0 {
					t.Errorf("known kids took %v", took)
				}
				wg.Wait()
				time.Sleep(3 * time.Second) // 5 s in all: the fetch is given up
				synctest.Wait()
				start = time.Now()
				check(t, v, unknown, verify.ErrUnknownKey)
				if took := time.Since(start); took != 0 {
					t.Errorf("within the cool-down an unknown kid took %v", took)
				}
			})
		})
	}
}

// Waiting for a key takes time, and a token can expire meanwhile.
func TestExpiresWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(keystest.ES256)
		cfg := b.config()
		cfg.Leeway = -1
		v := startBubble(t, cfg)
		time.Sleep(cooldown)
		b.change(func(b *bubble) { b.set = keystest.Set(keystest.RS256); b.jwks = b.slowly(1500 * time.Millisecond) })
		claims := keystest.AccessClaims(bubbleIssuer, audience, time.Now())
		check(t, v, keystest.AccessToken(keystest.RS256, claims.With("exp", fmt.Sprint(time.Now().Unix()+1))), verify.ErrExpired)
	})
}
