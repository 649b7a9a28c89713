package oauth_test

import (
	"crypto/sha256"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/signet/issuer/internal/oauth"
)

// use is what is heard of the use of a secret.
type use struct {
	client string
	digest [sha256.Size]byte
	at     time.Time
}

// uses hears of the use of secrets. It is safe for concurrent use.
type uses struct {
	mu  sync.Mutex
	all []use // guarded by mu
}

func (u *uses) hear(client string, digest [sha256.Size]byte, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.all = append(u.all, use{client, digest, at})
}

// take returns what was heard since it was last asked.
func (u *uses) take() []use {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := u.all
	u.all = nil
	return all
}

// newUses returns an endpoint whose uses of secrets are heard of.
func newUses(t *testing.T, change ...func(*oauth.Config)) (*fixture, *uses) {
	t.Helper()
	heard := new(uses)
	return newFixture(t, append(change, func(c *oauth.Config) { c.SecretUsed = heard.hear })...), heard
}

// Nobody hears of the secrets of whoever has not proved who it is.
func TestSecretUsedOfTheRefused(t *testing.T) {
	t.Parallel()
	limited := false
	f, heard := newUses(t, func(c *oauth.Config) {
		c.Limit = func(string) time.Duration {
			if limited {
				return time.Second
			}
			return 0
		}
	})
	as := func(id, secret string) oauth.Request {
		return oauth.Request{Authorization: basic(id, secret), Form: form()}
	}
	rows := []struct {
		name    string
		limited bool
		later   time.Duration
		request oauth.Request
		code    oauth.Code
		cause   string
	}{
		{"wrong secret", false, 0, as("secret", "wrong"), oauth.InvalidClient, "wrong or expired secret"},
		{"another client's secret", false, 0, as("secret", url.QueryEscape(oddSecret)), oauth.InvalidClient,
			"wrong or expired secret"},
		{"unknown client", false, 0, as("nobody", secret), oauth.InvalidClient, "unknown client"},
		{"disabled client", false, 0, as("disabled", secret), oauth.InvalidClient, "client is disabled"},
		{"client without secrets", false, 0, as("jwt", secret), oauth.InvalidClient, "wrong or expired secret"},
		{"too often", true, 0, as("secret", secret), oauth.TemporarilyUnavailable, oauth.ErrLimited.Error()},
		{"two ways at once", false, 0, withSecret("client_id", "secret", "client_secret", secret), oauth.InvalidRequest,
			"more than one way of authenticating"},
		{"expired secret", false, 5 * time.Minute, as("secret", oldSecret), oauth.InvalidClient, "wrong or expired secret"},
	}
	for _, row := range rows { // in order: they share the clock
		t.Run(row.name, func(t *testing.T) {
			limited = row.limited
			f.clock.Advance(row.later)
			f.refuse(t, row.request, row.code, row.cause)
			if got := heard.take(); len(got) != 0 {
				t.Errorf("heard of %v", got)
			}
		})
	}
	limited = false
	f.grant(t, withAssertion(f.assertion(t, nil)))
	if got := heard.take(); len(got) != 0 {
		t.Errorf("heard of %v, and it was an assertion", got)
	}
}

// Each secret of each client is heard of, and once a minute at most.
func TestSecretUsed(t *testing.T) {
	t.Parallel()
	f, heard := newUses(t)
	with := func(id, secret string, pairs ...string) oauth.Request {
		return oauth.Request{Authorization: basic(id, secret), Form: form(pairs...)}
	}
	was := func(id, secret string) []use { return []use{{id, sha256.Sum256([]byte(secret)), f.clock.Now()}} }
	steps := []struct {
		name       string
		later      time.Duration
		id, secret string
		form       []string
		code       oauth.Code // "": a token
		cause      string
		heard      bool
	}{
		{"first", 0, "secret", secret, nil, "", "", true},
		{"again", 0, "secret", secret, nil, "", "", false},
		{"its other secret", time.Second, "secret", oldSecret, nil, "", "", true},
		{"the same secret of another client", 0, "undecided", secret, []string{"resource", plain}, "", "", true},
		{"a second short of a minute", 58 * time.Second, "secret", secret, nil, "", "", false},
		{"a minute later", time.Second, "secret", secret, nil, "", "", true},
		{"its other secret, a second short of a minute", 0, "secret", oldSecret, nil, "", "", false},
		{"authenticated, and its scope refused", time.Minute, "secret", secret, []string{"scope", "admin"},
			oauth.InvalidScope, "a scope is unknown or not allowed", true},
		{"after a day", 24 * time.Hour, "secret", secret, nil, "", "", true},
	}
	for _, step := range steps { // in order: they share the clock and the secrets
		t.Run(step.name, func(t *testing.T) {
			f.clock.Advance(step.later)
			request := with(step.id, step.secret, step.form...)
			if step.code == "" {
				f.grant(t, request)
			} else {
				f.refuse(t, request, step.code, step.cause)
			}
			var want []use
			if step.heard {
				want = was(step.id, step.secret)
			}
			if got := heard.take(); !slices.Equal(got, want) {
				t.Errorf("heard of %v, want %v", got, want)
			}
		})
	}
}

func TestSecretUsedByManyAtOnce(t *testing.T) {
	t.Parallel()
	f, heard := newUses(t)
	for range 3 {
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if _, _, err := f.endpoint.Token(t.Context(), withSecret()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if got := heard.take(); len(got) != 1 {
			t.Errorf("heard of %d uses", len(got))
		}
		f.clock.Advance(time.Minute)
	}
}
