package verify_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// The tests of this file use a real server and a clock that they move; schedule_test.go has those in which time passes.

const cooldown = 30 * time.Second

// sourceBench is a verifier over a real network, and tokens that are good for two weeks.
type sourceBench struct {
	server *keystest.Server
	clock  *keystest.Clock
	*verify.Verifier
}

func newSourceBench(t testing.TB, names ...string) sourceBench {
	t.Helper()
	server, clock := newServer(t, names...), keystest.NewClock()
	v := newVerifier(t, verify.Config{Issuer: server.Issuer(), Now: clock.Now})
	ready(t, v)
	return sourceBench{server, clock, v}
}

func (b sourceBench) token(name string) string {
	claims := keystest.AccessClaims(b.server.Issuer(), audience, b.clock.Now())
	return keystest.AccessToken(name, claims.With("exp", fmt.Sprint(b.clock.Now().Add(14*24*time.Hour).Unix())))
}

// forged says that the key name signed it, and is by another.
func (b sourceBench) forged(name, by string) string {
	return keystest.Forge(by, keystest.AccessHeader(name).String(),
		keystest.AccessClaims(b.server.Issuer(), audience, b.clock.Now()).String())
}

// unknown is a token of a key that nobody publishes.
func (b sourceBench) unknown() string { return b.unknownKid("nobody-publishes-this") }

func (b sourceBench) unknownKid(kid string) string {
	return keystest.Forge(keystest.ES256, keystest.AccessHeader(keystest.ES256).With("kid", `"`+kid+`"`).String(),
		keystest.AccessClaims(b.server.Issuer(), audience, b.clock.Now()).String())
}

func (b sourceBench) wantFetches(t *testing.T, want int) {
	t.Helper()
	if got := b.server.Fetches(); got != want {
		t.Errorf("%d fetches, want %d", got, want)
	}
}

func TestIssuerComesUpLater(t *testing.T) {
	t.Parallel()
	server, clock := newServer(t, keystest.ES256), keystest.NewClock()
	server.Fail(status(http.StatusServiceUnavailable))
	b := sourceBench{server, clock, newVerifier(t, verify.Config{Issuer: server.Issuer(), Now: clock.Now})}
	good := b.token(keystest.ES256)

	check(t, b.Verifier, good, verify.ErrUnavailable)
	wantError(t, b.Ready(), verify.ErrUnavailable)
	// What can be judged without a key is, all the while.
	check(t, b.Verifier, "x", verify.ErrMalformed)
	check(t, b.Verifier, keystest.AccessToken(keystest.ES256, keystest.AccessClaims("https://evil.example.com", audience, clock.Now())),
		verify.ErrIssuer)

	server.Fail(nil)
	ready(t, b.Verifier)
	check(t, b.Verifier, good, nil)
}

// Unknown kids are free to invent: they cost one fetch for each cool-down, whatever their number (V37).
func TestUnknownKidCooldown(t *testing.T) {
	t.Parallel()
	b := newSourceBench(t, keystest.ES256)
	flood := func() {
		t.Helper()
		for i := range 100 {
			check(t, b.Verifier, b.unknownKid(fmt.Sprintf("%d-%d", b.clock.Now().Unix(), i)), verify.ErrUnknownKey)
		}
	}
	flood()
	b.wantFetches(t, 1)
	b.clock.Advance(cooldown - time.Nanosecond)
	flood()
	b.wantFetches(t, 1)
	b.clock.Advance(time.Nanosecond)
	flood()
	b.wantFetches(t, 2)
	b.clock.Advance(cooldown - time.Nanosecond)
	flood()
	b.wantFetches(t, 2)
	b.clock.Advance(time.Nanosecond)
	flood()
	b.wantFetches(t, 3)
}

// A failed fetch counts as an attempt: an issuer that is in trouble is not asked more often.
func TestCooldownAfterFailure(t *testing.T) {
	t.Parallel()
	b := newSourceBench(t, keystest.ES256)
	b.server.Fail(status(http.StatusInternalServerError))
	b.clock.Advance(cooldown)
	before := b.server.Fetches()
	for range 50 {
		check(t, b.Verifier, b.unknown(), verify.ErrUnknownKey)
	}
	// One for the kids; the goroutine's own second attempt, a quarter of a second later, may or may not be in.
	if n := b.server.Fetches() - before; n < 1 || n > 3 {
		t.Errorf("%d fetches for 50 unknown kids", n)
	}
}

func TestRotationWithoutOverlap(t *testing.T) {
	t.Parallel()
	b := newSourceBench(t, keystest.ES256)
	old, fresh := b.token(keystest.ES256), b.token(keystest.ES256Other)
	check(t, b.Verifier, old, nil)
	check(t, b.Verifier, fresh, verify.ErrUnknownKey)

	b.server.Publish(keystest.Set(keystest.ES256Other))
	b.clock.Advance(cooldown)
	check(t, b.Verifier, fresh, nil)
	check(t, b.Verifier, old, verify.ErrUnknownKey) // revoked: refused from the first fetch on
	b.wantFetches(t, 2)
}

// Keys stay good while the issuer is away, for so long and no longer; a bad token is refused as such throughout (V39).
func TestStaleKeys(t *testing.T) {
	t.Parallel()
	b := newSourceBench(t, keystest.ES256)
	good, forged := b.token(keystest.ES256), b.forged(keystest.ES256, keystest.ES256Other)
	b.server.Fail(status(http.StatusBadGateway))

	b.clock.Advance(24 * time.Hour)
	check(t, b.Verifier, good, nil)
	if err := b.Ready(); err != nil {
		t.Error(err)
	}
	b.clock.Advance(time.Nanosecond)
	check(t, b.Verifier, good, verify.ErrUnavailable)
	check(t, b.Verifier, forged, verify.ErrSignature)
	check(t, b.Verifier, "x.y", verify.ErrMalformed)
	wantError(t, b.Ready(), verify.ErrUnavailable)
	check(t, b.Verifier, b.unknown(), verify.ErrUnavailable) // it cannot be told whether the issuer has such a key now

	b.server.Fail(nil)
	eventually(t, "the keys are good again", func() bool {
		b.clock.Advance(cooldown)
		_, _ = b.Verify(t.Context(), b.unknown()) // asks for a fetch
		return b.Ready() == nil
	})
	check(t, b.Verifier, good, nil)
}

// Two issuers, each with a verifier, one kid in both sets: what one signed is never the other's (V21).
func TestIssuerMixUp(t *testing.T) {
	t.Parallel()
	const kid = "key-1"
	renamed := func(name string) http.HandlerFunc {
		document, err := keystest.Set(name).MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(string(document), keystest.Key(name).ID(), kid, 1)
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
	}
	clock := keystest.NewClock()
	start := func(name string) sourceBench {
		server := newServer(t, name)
		server.Fail(renamed(name))
		b := sourceBench{server, clock, newVerifier(t, verify.Config{Issuer: server.Issuer(), Now: clock.Now})}
		ready(t, b.Verifier)
		return b
	}
	a, z := start(keystest.ES256), start(keystest.ES256Other)
	signed := func(by string, issuer sourceBench) string {
		return keystest.Forge(by, keystest.AccessHeader(by).With("kid", `"`+kid+`"`).String(),
			keystest.AccessClaims(issuer.server.Issuer(), audience, clock.Now()).String())
	}
	check(t, a.Verifier, signed(keystest.ES256, a), nil)
	check(t, z.Verifier, signed(keystest.ES256Other, z), nil)
	check(t, a.Verifier, signed(keystest.ES256Other, z), verify.ErrSignature)
	check(t, a.Verifier, signed(keystest.ES256, z), verify.ErrIssuer)
	check(t, a.Verifier, signed(keystest.ES256Other, a), verify.ErrSignature)
	check(t, z.Verifier, signed(keystest.ES256, a), verify.ErrSignature)
	check(t, z.Verifier, signed(keystest.ES256Other, a), verify.ErrIssuer)
	check(t, z.Verifier, signed(keystest.ES256, z), verify.ErrSignature)
}

// Valid tokens pass while forged and unknown ones pour in and the issuer rotates.
func TestFlood(t *testing.T) {
	t.Parallel()
	b := newSourceBench(t, keystest.ES256, keystest.RS256)
	good, forged := b.token(keystest.RS256), b.forged(keystest.ES256, keystest.ES256Other)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 200 {
				check(t, b.Verifier, forged, verify.ErrSignature)
				check(t, b.Verifier, b.unknownKid(fmt.Sprintf("%d-%d", worker, i)), verify.ErrUnknownKey)
			}
		})
		wg.Go(func() {
			for range 200 {
				check(t, b.Verifier, good, nil)
			}
		})
	}
	wg.Go(func() {
		for range 5 {
			b.server.Publish(keystest.Set(keystest.RS256, keystest.ES256))
			b.clock.Advance(cooldown)
		}
	})
	wg.Wait()
	if n := b.server.Fetches(); n > 1+5 {
		t.Errorf("%d fetches", n)
	}
}
