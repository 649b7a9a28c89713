package verify_test

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// Not parallel: it looks at all goroutines.
func TestCloseLeavesNothing(t *testing.T) {
	for name, fail := range map[string]http.HandlerFunc{"well": nil, "failing": status(500), "hanging": hang} {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			server := keystest.NewServer(keystest.Set(keystest.ES256))
			server.Fail(fail)
			transport := &http.Transport{}
			v, err := verify.New(verify.Config{Issuer: server.Issuer(), Audience: audience, Fetch: verify.Fetch{Client: &http.Client{Transport: transport}}})
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "a fetch", func() bool { return server.Fetches() > 0 })
			start := time.Now()
			v.Close()
			v.Close()
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("closing took %v", took)
			}
			transport.CloseIdleConnections()
			server.Close()
			goleak.VerifyNone(t, before)
		})
	}
}

func TestCloseAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(keystest.ES256)
		v, err := verify.New(b.config())
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(v.Close)
		}
		wg.Wait()
		if _, err := v.Verify(t.Context(), bubbleToken(keystest.ES256)); err != nil {
			wantError(t, err, verify.ErrUnavailable) // nothing was fetched, which is fine
		}
	})
}

// After Close the keys that are there go on; nothing is fetched, and nobody waits for it.
func TestVerifyAfterClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(keystest.ES256)
		v := startBubble(t, b.config())
		good, unknown := bubbleToken(keystest.ES256), bubbleToken(keystest.RS256)
		time.Sleep(cooldown)
		v.Close()
		start, fetches := time.Now(), len(b.times())
		for range 3 {
			check(t, v, good, nil)
			check(t, v, unknown, verify.ErrUnknownKey)
		}
		if took := time.Since(start); took != 0 || len(b.times()) != fetches {
			t.Errorf("took %v and %d fetches", took, len(b.times())-fetches)
		}
		time.Sleep(25 * time.Hour)
		check(t, v, good, verify.ErrUnavailable) // nobody refreshes them
	})
}

// Who waits for a key when the verifier is closed is let go.
func TestCloseWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(keystest.ES256)
		v := startBubble(t, b.config())
		time.Sleep(cooldown)
		b.change(func(b *bubble) { b.jwks = hang })
		unknown, start := bubbleToken(keystest.RS256), time.Now()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { check(t, v, unknown, verify.ErrUnknownKey) })
		}
		synctest.Wait()
		v.Close()
		wg.Wait()
		if took := time.Since(start); took != 0 {
			t.Errorf("took %v", took)
		}
	})
}

// Close returns when the goroutine has ended and not before, so that who closes the network next pulls it from nobody.
func TestCloseWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(keystest.ES256)
		b.jwks = func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			time.Sleep(time.Second) // slow to give up
		}
		v := startBubble(t, b.config())
		start := time.Now()
		v.Close()
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v, the fetch takes 1 s to end", took)
		}
	})
}
