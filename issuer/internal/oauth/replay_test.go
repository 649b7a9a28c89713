package oauth_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/keys/keystest"
)

func TestAssertionIsSpent(t *testing.T) {
	t.Parallel()
	t.Run("I26 replayed", func(t *testing.T) {
		f := newFixture(t)
		assertion := f.assertion(t, nil)
		f.grant(t, withAssertion(assertion))
		f.refuse(t, withAssertion(assertion), oauth.InvalidClient, causeReplayed)
	})
	t.Run("I26 the same jti in another assertion", func(t *testing.T) {
		f := newFixture(t)
		f.grant(t, withAssertion(f.assertion(t, nil)))
		f.refuse(t, withAssertion(f.assertion(t, claims{"nonsense": 1})), oauth.InvalidClient, causeReplayed)
	})
	t.Run("I26 the same jti of another client", func(t *testing.T) {
		f := newFixture(t)
		f.grant(t, withAssertion(f.assertion(t, nil)))
		payload := f.payload(t, claims{"iss": "rsa", "sub": "rsa"})
		f.grant(t, withAssertion(keystest.Forge(keystest.RS256Other, header("RS256", keystest.RS256Other), payload)))
	})
	t.Run("I26 replayed until it has expired", func(t *testing.T) {
		f := newFixture(t)
		assertion := f.assertion(t, nil)
		f.grant(t, withAssertion(assertion))
		f.clock.Advance(time.Minute + leeway - time.Nanosecond)
		f.refuse(t, withAssertion(assertion), oauth.InvalidClient, causeReplayed)
		f.clock.Advance(time.Nanosecond)
		f.refuse(t, withAssertion(assertion), oauth.InvalidClient, causeExpired)
	})
	t.Run("I26 replayed while it expires", func(t *testing.T) {
		// The claims are checked at one moment and the id is spent at a later one; the assertion expires in between.
		late := keystest.NewClock()
		late.Advance(time.Minute + leeway)
		f := newFixture(t, func(c *oauth.Config) { c.Spent = newSpent(late.Now) })
		f.refuse(t, withAssertion(f.assertion(t, nil)), oauth.InvalidClient, causeReplayed)
	})
	t.Run("I26 an assertion that was refused is not spent", func(t *testing.T) {
		f := newFixture(t)
		f.refuse(t, withAssertion(f.assertion(t, claims{"aud": "other"})), oauth.InvalidClient, causeAudience)
		f.refuse(t, withAssertion(keystest.Forge(keystest.ES256, header("ES256", keystest.ES256Other), f.payload(t, nil))),
			oauth.InvalidClient, "signature does not verify: not made by the key that kid names")
		f.grant(t, withAssertion(f.assertion(t, nil)))
	})
	t.Run("I26 of fifty at once one wins", func(t *testing.T) {
		f := newFixture(t)
		r := withAssertion(f.assertion(t, nil))
		errs := make([]error, 50)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { _, _, errs[i] = f.endpoint.Token(t.Context(), r) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			var refused *oauth.Error
			switch {
			case err == nil:
				won++
			case !errors.As(err, &refused) || refused.Code != oauth.InvalidClient || refused.Cause.Error() != causeReplayed:
				t.Errorf("error %v", err)
			}
		}
		if won != 1 {
			t.Errorf("%d won", won)
		}
	})
}
