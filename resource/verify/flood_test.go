package verify_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// burst is how many tokens come at once, and by how many callers.
const burst, callers = 10_000, 50

// strangers makes tokens with random kids. Nobody comes to their signatures, which are nothing.
func strangers(issuer string, now time.Time) func() string {
	claims := keystest.Encode(keystest.AccessClaims(issuer, audience, now).String())
	header := keystest.AccessHeader(keystest.ES256)
	return func() string {
		kid := fmt.Sprintf(`"%016x"`, rand.Uint64())
		return keystest.Encode(header.With("kid", kid).String()) + "." + claims + "." + strings.Repeat("A", 86)
	}
}

func (b sourceBench) strangers() func() string { return strangers(b.server.Issuer(), b.clock.Now()) }

// patient is a bench whose callers wait for a fetch as long as it may take on a busy machine.
func patient(t testing.TB, names ...string) sourceBench {
	t.Helper()
	server, clock := newServer(t, names...), keystest.NewClock()
	cfg := verify.Config{Issuer: server.Issuer(), Now: clock.Now}
	cfg.Fetch.Wait = cooldown - time.Second // as long as the cool-down would mean to wait for its end
	v := newVerifier(t, cfg)
	ready(t, v)
	return sourceBench{server, clock, v}
}

// each plays n turns by all callers at once.
func each(n int, turn func(i int)) {
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			for i := caller; i < n; i += callers {
				turn(i)
			}
		})
	}
	wg.Wait()
}

// 10,000 random kids in a burst cost one fetch, and none until the cool-down is over (V37).
func TestBurstOfUnknownKids(t *testing.T) {
	t.Parallel()
	b := patient(t, keystest.ES256)
	stranger, good := b.strangers(), b.token(keystest.ES256)
	for round := range 3 {
		b.clock.Advance(cooldown)
		each(burst, func(i int) {
			check(t, b.Verifier, stranger(), verify.ErrUnknownKey)
			if i%100 == 0 {
				check(t, b.Verifier, good, nil)
			}
		})
		b.wantFetches(t, 2+round)
		b.clock.Advance(cooldown - time.Nanosecond)
		each(burst/10, func(int) { check(t, b.Verifier, stranger(), verify.ErrUnknownKey) })
		b.wantFetches(t, 2+round)
		b.clock.Advance(time.Nanosecond - cooldown) // a clock that is set back a bit gives nobody a fetch
		each(burst/10, func(int) { check(t, b.Verifier, stranger(), verify.ErrUnknownKey) })
		b.wantFetches(t, 2+round)
	}
}

// In the middle of it the issuer rotates. All tokens of the new key are accepted, after the one fetch that there is.
func TestRotationInABurst(t *testing.T) {
	t.Parallel()
	b := patient(t, keystest.ES256)
	stranger, fresh := b.strangers(), b.token(keystest.RS256)
	b.server.Publish(keystest.Set(keystest.RS256, keystest.ES256))
	b.clock.Advance(cooldown)
	each(burst, func(i int) {
		if i%10 == 0 {
			check(t, b.Verifier, fresh, nil)
		} else {
			check(t, b.Verifier, stranger(), verify.ErrUnknownKey)
		}
	})
	b.wantFetches(t, 2)
}

// Callers that give up while they wait take nobody with them: neither the fetch nor others who wait for it.
func TestGivingUpInABurst(t *testing.T) {
	t.Parallel()
	b := patient(t, keystest.ES256)
	stranger, fresh := b.strangers(), b.token(keystest.RS256)
	b.server.Publish(keystest.Set(keystest.RS256, keystest.ES256))
	b.clock.Advance(cooldown)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.Verify(cancelled, fresh) // the one who asks for the fetch, and is gone before it begins
	wantError(t, err, verify.ErrUnavailable)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v does not say that the caller gave up", err)
	}
	each(burst/10, func(i int) {
		switch i % 3 {
		case 0:
			check(t, b.Verifier, fresh, nil)
		case 1:
			// Cancelled and answered at once may be either.
			if _, err := b.Verify(cancelled, fresh); err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("given up: %v", err)
			}
		case 2:
			check(t, b.Verifier, stranger(), verify.ErrUnknownKey)
		}
	})
	b.wantFetches(t, 2)
}

// A burst over an issuer that does not answer is a burst of refusals; who has a known kid notices nothing.
func TestBurstWhileAway(t *testing.T) {
	t.Parallel()
	b := newSourceBench(t, keystest.ES256)
	stranger, good := b.strangers(), b.token(keystest.ES256)
	b.server.Fail(status(500))
	b.clock.Advance(cooldown)
	before := b.server.Fetches()
	each(burst, func(i int) {
		if i%10 == 0 {
			check(t, b.Verifier, good, nil)
		} else {
			check(t, b.Verifier, stranger(), verify.ErrUnknownKey)
		}
	})
	// One for the kids. The goroutine's own attempts after it, at 1/4 s, 3/4 s and so on, are not for them.
	if n := b.server.Fetches() - before; n < 1 || n > 6 {
		t.Errorf("%d fetches", n)
	}
}
