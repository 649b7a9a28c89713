package verify_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

type contextKey struct{}

// OnVerify is called once for each Verify, with what Verify returns and with the caller's context.
func TestOnVerify(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(keystest.ES256, keystest.RS256)
		cfg := b.config()
		var seen []verify.Outcome
		cfg.OnVerify = func(ctx context.Context, o verify.Outcome) {
			if ctx.Value(contextKey{}) != "caller" {
				t.Error("not the caller's context")
			}
			seen = append(seen, o)
		}
		v := startBubble(t, cfg)
		ctx := context.WithValue(t.Context(), contextKey{}, "caller")
		play := func(name, token string, want error, cached bool) {
			t.Helper()
			seen = nil
			_, err := v.Verify(ctx, token)
			switch {
			case len(seen) != 1:
				t.Fatalf("%s: told %d times", name, len(seen))
			case seen[0].Err != err || seen[0].Cached != cached:
				t.Errorf("%s: told %+v, want cached %v and the error that Verify returns, %v", name, seen[0], cached, err)
			case !errors.Is(err, want):
				t.Errorf("%s: %v, want %v", name, err, want)
			}
		}
		for range 2 {
			for _, bad := range badTokens() {
				play(bad.name, bad.token, bad.want, false)
			}
			play("unknown kid", bubbleToken(keystest.ES256Other), verify.ErrUnknownKey, false)
		}
		short, long := issued(bubbleIssuer, keystest.ES256), bubbleToken(keystest.RS256)
		play("first sight", short, nil, false)
		play("first sight", long, nil, false)
		_, _ = v.Verify(ctx, short)
		_, _ = v.Verify(ctx, long)
		play("seen before", short, nil, true)
		play("seen before", long, nil, true)
		b.change(func(b *bubble) { b.jwks = status(500) })
		time.Sleep(11 * time.Minute)
		play("seen before, and expired", short, verify.ErrExpired, true)
		time.Sleep(25 * time.Hour)
		play("seen before, and the keys too old", long, verify.ErrUnavailable, true)
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		b.change(func(b *bubble) { b.jwks = hang })
		seen = nil
		_, err := v.Verify(cancelled, bubbleToken(keystest.ES256Other))
		wantError(t, err, verify.ErrUnavailable)
		if len(seen) != 1 || seen[0].Err != err {
			t.Errorf("a caller that gave up: %+v", seen)
		}
	})
}

// OnFetch is called after each fetch, with how it ended.
func TestOnFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(keystest.ES256)
		cfg := b.config()
		cfg.Fetch.Jitter = -1
		seen := make(chan verify.Fetched, 100)
		cfg.OnFetch = func(f verify.Fetched) { seen <- f }
		v := startBubble(t, cfg)
		next := func(name string, wait time.Duration, want verify.Fetched) {
			t.Helper()
			time.Sleep(wait)
			synctest.Wait()
			if len(seen) != 1 {
				t.Fatalf("%s: told %d times", name, len(seen))
			}
			got := <-seen
			if (got.Err != nil) != (want.Err != nil) {
				t.Errorf("%s: error %v", name, got.Err)
			}
			got.Err, want.Err, want.Issuer = nil, nil, bubbleIssuer
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		failed := errors.New("any")
		next("the first", 0, verify.Fetched{Keys: 1, Changed: true})
		next("the same keys", 4*time.Minute, verify.Fetched{Keys: 1})
		b.change(func(b *bubble) { b.set, b.jwks = keystest.Set(keystest.ES256, keystest.RS256), b.slowly(time.Second) })
		next("another key, after a second", 4*time.Minute+time.Second,
			verify.Fetched{Keys: 2, Changed: true, Took: time.Second})
		b.change(func(b *bubble) { b.jwks = status(500) })
		next("failed", 4*time.Minute, verify.Fetched{Err: failed, Keys: 2})
		b.change(func(b *bubble) { b.jwks = answerWith(`{"keys":[]}`) })
		next("failed again", time.Second/4, verify.Fetched{Err: failed, Keys: 2})
		b.change(func(b *bubble) { b.jwks = hang })
		next("hanging", time.Second/2+5*time.Second, verify.Fetched{Err: failed, Keys: 2, Took: 5 * time.Second})
		b.change(func(b *bubble) { b.jwks = nil })
		time.Sleep(time.Second)
		synctest.Wait()
		<-seen
		b.change(func(b *bubble) { b.set = keystest.Set(keystest.RS256) })
		time.Sleep(cooldown)
		check(t, v, bubbleToken(keystest.RS256), nil)
		check(t, v, bubbleToken(keystest.ES256Other), verify.ErrUnknownKey)
		next("asked for by an unknown kid", 0, verify.Fetched{Keys: 1, Changed: true})

		// A fetch that Close cuts short is nobody's business.
		b.change(func(b *bubble) { b.jwks = hang })
		time.Sleep(4*time.Minute + time.Second)
		v.Close()
		time.Sleep(time.Hour)
		if len(seen) != 0 {
			t.Errorf("after Close: %+v", <-seen)
		}
	})
}

func TestReason(t *testing.T) {
	t.Parallel()
	want := []string{"malformed", "algorithm", "type", "unknown_key", "signature", "claims", "issuer", "audience",
		"expired", "not_yet_valid", "confirmation", "unavailable", "other"}
	if diff := cmp.Diff(want, verify.Reasons()); diff != "" {
		t.Error(diff)
	}
	verify.Reasons()[0] = "changed"
	if verify.Reasons()[0] != "malformed" {
		t.Error("Reasons gives away its own slice")
	}
	seen := make(map[string]bool)
	for _, sentinel := range sentinels {
		reason := verify.Reason(sentinel)
		if seen[reason] || reason == "other" || !slices.Contains(want, reason) {
			t.Errorf("%v has the reason %q", sentinel, reason)
		}
		seen[reason] = true
		if wrapped := verify.Reason(fmt.Errorf("verifying: %w", sentinel)); wrapped != reason {
			t.Errorf("%q when wrapped, %q otherwise", wrapped, reason)
		}
	}
	if len(seen) != len(want)-1 {
		t.Errorf("%d sentinels for %d reasons", len(seen), len(want)-1)
	}
	for _, row := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{errors.New("x"), "other"},
		{context.Canceled, "other"},
		{http.ErrAbortHandler, "other"},
		{fmt.Errorf("%w: %w", verify.ErrUnavailable, context.Canceled), "unavailable"},
	} {
		if got := verify.Reason(row.err); got != row.want {
			t.Errorf("%v has the reason %q, want %q", row.err, got, row.want)
		}
	}
}

// Every refusal that Verify makes has the reason of its sentinel.
func TestReasonOfRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := startBubble(t, newBubble(keystest.ES256, keystest.RS256).config())
		for _, bad := range badTokens() {
			_, err := v.Verify(t.Context(), bad.token)
			if got, want := verify.Reason(err), verify.Reason(bad.want); got != want {
				t.Errorf("%s: %q, want %q", bad.name, got, want)
			}
		}
	})
}
