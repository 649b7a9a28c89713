package verify_test

import (
	"context"
	"crypto/elliptic"
	"crypto/rand"
	"math/big"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
	"example.com/signet/resource/verify/verifytest"
)

// cacheBench is a sourceBench that sees whether a token came from the cache. It is for one goroutine.
type cacheBench struct {
	sourceBench
	last *verify.Outcome
}

func newCacheBench(t testing.TB, cfg verify.Config, names ...string) cacheBench {
	t.Helper()
	b := cacheBench{last: new(verify.Outcome)}
	b.server, b.clock = newServer(t, names...), keystest.NewClock()
	cfg.Issuer, cfg.OnVerify = b.server.Issuer(), func(_ context.Context, o verify.Outcome) { *b.last = o }
	if cfg.Now == nil {
		cfg.Now = b.clock.Now
	}
	b.Verifier = newVerifier(t, cfg)
	ready(t, b.Verifier)
	check(t, b.Verifier, b.unknown(), verify.ErrUnknownKey) // returns when the first fetch has landed
	return b
}

// settle verifies a token until it is in the cache.
func (b cacheBench) settle(t testing.TB, token string) {
	t.Helper()
	for range 3 {
		if check(t, b.Verifier, token, nil); b.last.Cached {
			return
		}
	}
	t.Fatal("not remembered after three times")
}

// want verifies a token and says whether it must come from the cache.
func (b cacheBench) want(t testing.TB, token string, want error, cached bool) {
	t.Helper()
	check(t, b.Verifier, token, want)
	if b.last.Cached != cached {
		t.Errorf("from the cache: %v, want %v", b.last.Cached, cached)
	}
}

// refetch makes the verifier fetch its keys now.
func (b cacheBench) refetch(t testing.TB) {
	t.Helper()
	before := b.server.Fetches()
	b.clock.Advance(cooldown)
	check(t, b.Verifier, b.unknown(), verify.ErrUnknownKey)
	if n := b.server.Fetches() - before; n != 1 {
		t.Fatalf("%d fetches", n)
	}
}

// genuine is a token of its own, with one claim changed, or none where name is "".
func (b cacheBench) genuine(name, value string) string {
	claims := keystest.AccessClaims(b.server.Issuer(), audience, b.clock.Now()).With("jti", strconv.Quote(rand.Text()))
	if name != "" {
		claims = claims.With(name, value)
	}
	return keystest.AccessToken(keystest.ES256, claims)
}

// The times of a token are looked at on every hit, to the nanosecond.
func TestCacheExpiry(t *testing.T) {
	t.Parallel()
	for leeway, left := range map[time.Duration]time.Duration{
		-1: 10 * time.Minute, 0: 10*time.Minute + 30*time.Second, 5 * time.Minute: 15 * time.Minute,
	} {
		t.Run(leeway.String(), func(t *testing.T) {
			t.Parallel()
			b := newCacheBench(t, verify.Config{Leeway: leeway}, keystest.ES256)
			token := b.genuine("", "")
			b.settle(t, token)
			b.clock.Advance(left - 1)
			b.want(t, token, nil, true)
			b.clock.Advance(1)
			for range 3 {
				check(t, b.Verifier, token, verify.ErrExpired)
			}
			b.clock.Advance(-1) // it was good then, and is so again when the clock is set back
			check(t, b.Verifier, token, nil)
		})
	}
}

// When the clock is set back, a token in the cache can be not yet valid.
func TestCacheClockSetBack(t *testing.T) {
	t.Parallel()
	allowed := map[time.Duration]time.Duration{-1: 0, 0: 30 * time.Second, 5 * time.Minute: 5 * time.Minute}
	for leeway, back := range allowed {
		for _, claim := range []string{"nbf", "iat"} {
			t.Run(claim+" "+leeway.String(), func(t *testing.T) {
				t.Parallel()
				b := newCacheBench(t, verify.Config{Leeway: leeway}, keystest.ES256)
				early := strconv.FormatInt(b.clock.Now().Add(-24*time.Hour).Unix(), 10)
				claims := keystest.AccessClaims(b.server.Issuer(), audience, b.clock.Now()).With("iat", early)
				claims = claims.With(claim, strconv.FormatInt(b.clock.Now().Unix(), 10))
				token := keystest.AccessToken(keystest.ES256, claims)
				b.settle(t, token)
				b.clock.Advance(-back)
				b.want(t, token, nil, true)
				b.clock.Advance(-1)
				for range 3 {
					check(t, b.Verifier, token, verify.ErrNotYetValid)
				}
				b.clock.Advance(1)
				b.settle(t, token)
			})
		}
	}
}

// The tokens of a revoked key are refused from the fetch on that no longer has it.
func TestCacheRevokedKey(t *testing.T) {
	t.Parallel()
	b := newCacheBench(t, verify.Config{}, keystest.ES256, keystest.RS256)
	revoked, other := b.token(keystest.ES256), b.token(keystest.RS256)
	b.settle(t, revoked)
	b.settle(t, other)
	b.server.Publish(keystest.Set(keystest.RS256))
	b.want(t, revoked, nil, true) // nobody has fetched
	b.refetch(t)
	b.want(t, revoked, verify.ErrUnknownKey, false)
	b.want(t, other, nil, false)
	b.settle(t, other)

	b.server.Publish(keystest.Set(keystest.ES256, keystest.RS256)) // it is back
	b.refetch(t)
	b.want(t, revoked, nil, false)
	b.settle(t, revoked)
}

// The same keys once more, in a document without ETag, leave the cache as it is; other keys, even one more, empty it.
func TestCacheWhenKeysAreFetched(t *testing.T) {
	t.Parallel()
	b := newCacheBench(t, verify.Config{}, keystest.ES256)
	token := b.token(keystest.ES256)
	b.settle(t, token)
	for range 3 {
		b.server.Publish(keystest.Set(keystest.ES256))
		b.refetch(t)
		b.want(t, token, nil, true)
	}
	for _, answer := range []string{"<html>", `{"keys":[]}`} { // bad answers are no other keys
		b.server.Fail(answerWith(answer))
		b.clock.Advance(cooldown)
		check(t, b.Verifier, b.unknown(), verify.ErrUnknownKey)
		b.want(t, token, nil, true)
	}
	b.server.Fail(nil)
	b.server.Publish(keystest.Set(keystest.ES256, keystest.RS256))
	eventually(t, "the new key", func() bool {
		b.clock.Advance(cooldown)
		_, err := b.Verify(t.Context(), b.token(keystest.RS256))
		return err == nil
	})
	b.want(t, token, nil, false)
	b.settle(t, token)
}

// A verification that began with keys which are replaced before it ends leaves nothing in the cache that counts. The
// change happens while Verify looks at the clock, which is after it has verified the signature.
func TestCacheKeysChangeDuringVerify(t *testing.T) {
	t.Parallel()
	var meanwhile atomic.Pointer[func()]
	clock := keystest.NewClock()
	now := func() time.Time {
		if change := meanwhile.Swap(nil); change != nil {
			(*change)()
		}
		return clock.Now()
	}
	b := newCacheBench(t, verify.Config{Now: now}, keystest.ES256, keystest.RS256)
	b.clock = clock
	token := b.token(keystest.ES256)
	change := func() {
		b.server.Publish(keystest.Set(keystest.RS256))
		b.refetch(t)
	}
	meanwhile.Store(&change)
	if _, err := b.Verify(t.Context(), token); err != nil {
		t.Fatalf("it began before the change: %v", err)
	}
	if meanwhile.Load() != nil || b.server.Fetches() != 2 {
		t.Fatal("the keys were not changed meanwhile")
	}
	for range 3 {
		b.want(t, token, verify.ErrUnknownKey, false)
	}
	b.settle(t, b.token(keystest.RS256))
}

// No other spelling of a token that is in the cache is a hit.
func TestCacheSpellings(t *testing.T) {
	t.Parallel()
	b := newCacheBench(t, verify.Config{}, keystest.ES256)
	token := b.token(keystest.ES256)
	b.settle(t, token)
	spellings := verifytest.Spellings(token)
	if len(spellings) < 100 {
		t.Errorf("only %d spellings", len(spellings))
	}
	for _, spelling := range spellings {
		if b.want(t, spelling.Token, spelling.Want, false); t.Failed() {
			t.Fatal(spelling.Name)
		}
	}
	b.want(t, token, nil, true)
}

// If (r, s) is an ECDSA signature, so is (r, n-s), and anybody can make the second from the first. It is a token of its
// own, with the same claims.
func TestCacheTwinSignature(t *testing.T) {
	t.Parallel()
	b := newCacheBench(t, verify.Config{}, keystest.ES256)
	token := b.token(keystest.ES256)
	b.settle(t, token)
	twin := twinOf(token)
	b.want(t, twin, nil, false)
	b.settle(t, twin)
	one, errOne := b.Verify(t.Context(), token)
	two, errTwo := b.Verify(t.Context(), twin)
	if errOne != nil || errTwo != nil || !cmp.Equal(saidBy(one), saidBy(two)) {
		t.Errorf("%v, %v; %v, %v", one, errOne, two, errTwo)
	}
	b.want(t, token, nil, true)
}

func twinOf(token string) string {
	end := strings.LastIndexByte(token, '.') + 1
	signature := lenientBase64(token[end:])
	s := new(big.Int).SetBytes(signature[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(signature[32:])
	return token[:end] + keystest.Encode(signature)
}

// A refused token is never remembered, and neither is anything where there is no cache, or no room in it.
func TestCacheRemembersNothing(t *testing.T) {
	t.Parallel()
	for _, size := range []int{-1, 1, 1000} {
		b := newCacheBench(t, verify.Config{CacheSize: size}, keystest.ES256)
		token := b.token(keystest.ES256)
		for range 5 {
			b.want(t, token, nil, false)
		}
	}
	b := newCacheBench(t, verify.Config{}, keystest.ES256)
	for range 5 {
		b.want(t, b.forged(keystest.ES256, keystest.ES256Other), verify.ErrSignature, false)
	}
	forged := b.forged(keystest.ES256, keystest.ES256Other)
	for range 5 {
		b.want(t, forged, verify.ErrSignature, false)
	}
}

// A full cache makes room for new tokens: those that are used now are in it.
func TestCacheFull(t *testing.T) {
	t.Parallel()
	b := newCacheBench(t, verify.Config{CacheSize: 64 << 10}, keystest.ES256)
	first := b.genuine("", "")
	b.settle(t, first)
	for range 200 {
		check(t, b.Verifier, b.genuine("", ""), nil)
	}
	check(t, b.Verifier, first, nil) // whether or not it is there
	lately := b.genuine("", "")
	b.settle(t, lately)
	b.want(t, lately, nil, true)
}

// Tokens that are used in turn are all remembered where there is room, in whatever order they come: no two of them push
// each other out.
func TestCacheInTurn(t *testing.T) {
	t.Parallel()
	b := newCacheBench(t, verify.Config{}, keystest.ES256)
	tokens := make([]string, 1000)
	for i := range tokens {
		tokens[i] = b.genuine("", "")
	}
	for round := range 4 {
		missed := 0
		for _, token := range tokens {
			if check(t, b.Verifier, token, nil); !b.last.Cached {
				missed++
			}
		}
		if round >= 2 && missed > 0 {
			t.Errorf("round %d: %d of %d tokens are not in the cache", round, missed, len(tokens))
		}
	}
}

// Many callers use a few tokens while the keys change, come back and change: each answer is one of a moment in the
// call, and after it all what is revoked is refused.
func TestCacheConcurrently(t *testing.T) {
	t.Parallel()
	b := patient(t, keystest.ES256, keystest.RS256)
	sometimes, always := b.token(keystest.ES256), b.token(keystest.RS256)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				check(t, b.Verifier, always, nil)
				if _, err := b.Verify(t.Context(), sometimes); err != nil {
					wantError(t, err, verify.ErrUnknownKey)
				}
			}
		})
	}
	for i := range 20 {
		names := []string{keystest.ES256, keystest.RS256}
		if i%2 == 1 {
			names = names[1:]
		}
		b.server.Publish(keystest.Set(names...))
		b.clock.Advance(cooldown)
		check(t, b.Verifier, b.unknown(), verify.ErrUnknownKey)
	}
	// The callers may have asked as well; nobody asks any more when the last answer has come.
	eventually(t, "the key is gone", func() bool {
		b.clock.Advance(cooldown)
		_, _ = b.Verify(t.Context(), b.unknown())
		_, err := b.Verify(t.Context(), sometimes)
		return err != nil
	})
	close(stop)
	wg.Wait()
	for range 3 {
		check(t, b.Verifier, sometimes, verify.ErrUnknownKey)
		check(t, b.Verifier, always, nil)
	}
}
