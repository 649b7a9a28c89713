package verify_test

import (
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// Beyond max_stale every request gets 503, so an issuer that is back must be noticed within seconds, however long it was
// away.
func TestBackAfterMaxStale(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(keystest.ES256)
		cfg := b.config()
		cfg.Fetch.MaxStale = time.Hour
		v := startBubble(t, cfg)
		good := bubbleToken(keystest.ES256)
		b.change(func(b *bubble) { b.jwks = status(http.StatusBadGateway) })
		time.Sleep(3 * time.Hour)
		check(t, v, good, verify.ErrUnavailable)
		b.change(func(b *bubble) { b.jwks = nil })
		time.Sleep(6 * time.Second) // 5 s, and the tenth that is left to chance
		synctest.Wait()
		check(t, v, good, nil)
	})
}

// An issuer may publish its keys in another order each time.
func TestShuffledKeysKeepTheCache(t *testing.T) {
	t.Parallel()
	b := newCacheBench(t, verify.Config{}, keystest.ES256, keystest.RS256)
	token := b.genuine("", "")
	b.settle(t, token)
	b.server.Publish(keystest.Set(keystest.RS256, keystest.ES256))
	b.refetch(t)
	b.want(t, token, nil, true)
}

// A token for which there is no room is accepted, and pushes no other out.
func TestCacheTooSmallForOne(t *testing.T) {
	t.Parallel()
	b := newCacheBench(t, verify.Config{CacheSize: 8 << 10}, keystest.ES256)
	small, large := b.genuine("", ""), b.genuine("x", `"`+string(make4KiB())+`"`)
	b.settle(t, small)
	b.want(t, large, nil, false)
	b.want(t, large, nil, false)
	b.want(t, small, nil, true)
}

func make4KiB() []byte {
	text := make([]byte, 4<<10)
	for i := range text {
		text[i] = 'x'
	}
	return text
}

// To invent kids costs nothing, so no more than 1,000 callers wait for one issuer; the others are answered at once.
func TestTooManyWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(keystest.ES256)
		v := startBubble(t, b.config())
		time.Sleep(cooldown)
		b.change(func(b *bubble) { b.jwks = hang })
		stranger := bubbleToken(keystest.RS256)
		start := time.Now()
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				check(t, v, stranger, verify.ErrUnknownKey)
				if took := time.Since(start); took != 2*time.Second {
					t.Errorf("one that may wait took %v", took)
				}
			})
		}
		synctest.Wait()
		check(t, v, stranger, verify.ErrUnknownKey)
		if took := time.Since(start); took != 0 {
			t.Errorf("one too many took %v", took)
		}
		wg.Wait()
	})
}

// The hook for fetches is called when those who waited have their answer: it may verify tokens itself.
func TestHookMayVerify(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(keystest.ES256)
		cfg := b.config()
		var v *verify.Verifier
		var once sync.Once
		started, took := make(chan struct{}), time.Duration(-1)
		cfg.OnFetch = func(verify.Fetched) {
			<-started
			once.Do(func() {
				start := time.Now()
				check(t, v, bubbleToken(keystest.RS256), verify.ErrUnknownKey)
				took = time.Since(start)
			})
		}
		v = newVerifier(t, cfg)
		close(started)
		synctest.Wait()
		if took != 0 {
			t.Errorf("the hook waited for itself for %v", took)
		}
	})
}

// With a cool-down that callers wait out, one unknown kid costs one fetch at its end.
func TestShortCooldown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(keystest.ES256)
		cfg := b.config()
		cfg.Fetch.Cooldown, cfg.Fetch.Wait = time.Second, 2*time.Second
		v := startBubble(t, cfg)
		before, start := len(b.times()), time.Now()
		check(t, v, bubbleToken(keystest.RS256), verify.ErrUnknownKey)
		if took, n := time.Since(start), len(b.times())-before; took != time.Second || n != 1 {
			t.Errorf("took %v and %d fetches", took, n)
		}
		time.Sleep(10 * time.Second)
		if n := len(b.times()) - before; n != 1 {
			t.Errorf("%d fetches afterwards", n)
		}
	})
}

// Not parallel: it waits for time to pass if it fails. A pipe would make whoever opens it wait for a writer.
func TestPipeForAFile(t *testing.T) {
	f := newSetFile(t, keystest.ES256)
	v, err := verify.New(f.config())
	if err != nil {
		t.Fatal(err)
	}
	replace(t, string(f))
	start := time.Now()
	check(t, v, bubbleToken(keystest.RS256), verify.ErrUnknownKey)
	check(t, v, bubbleToken(keystest.ES256), nil)
	v.Close()
	if _, err := verify.New(f.config()); err == nil {
		t.Error("a pipe was taken for a JWK Set")
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

// replace puts a pipe in a file's place.
func replace(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Where there are several issuers, the first iss of a payload says whose key has to verify it, however it is spelled; the
// whole is read as strictly as ever when it has been.
func TestFirstIssuerCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _, _ := newWorld()
		v := startBubble(t, w.config())
		claims := keystest.AccessClaims(issuerA, audience, time.Now())
		sign := func(payload string) string {
			return keystest.Forge(keystest.ES256, keystest.AccessHeader(keystest.ES256).String(), payload)
		}
		nested := claims.With("x", `{"iss":"`+issuerB+`"}`)
		for _, row := range []row{
			{"an escape in the value", sign(claims.With("iss", `"https:\/\/a.example.com"`).String()), nil},
			{"an object beside", sign(nested.String()), nil},
			{"an object before", sign(`{"x":{"iss":"` + issuerB + `"},` + claims.String()[1:]), nil},
			{"space", sign(" { " + claims.String()[1:]), verify.ErrClaims},
			{"again behind", sign(nested.Twice("iss", `"`+issuerA+`"`).String()), verify.ErrClaims},
			{"rubbish behind", sign(nested.String() + "x"), verify.ErrClaims},
			{"an escape in the name", sign(nested.Without("iss").With(`\u0069ss`, `"`+issuerA+`"`).String()), verify.ErrIssuer},
			{"no object", sign(`["iss","` + issuerA + `"]`), verify.ErrIssuer},
			{"nothing", sign(""), verify.ErrIssuer},
			{"deep", sign(`{"x":` + string(make4KiB()) + `}`), verify.ErrIssuer},
		} {
			t.Log(row.name)
			check(t, v, row.token, row.want)
		}
	})
}
