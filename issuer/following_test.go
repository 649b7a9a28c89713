package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/signet/keys"
)

// changes makes one change after the other and waits until both issuers follow it; each has that long. It returns how
// long each took, counted from the end of the command.
func (h *home) changes(limit time.Duration, issuers ...*program) (took []time.Duration) {
	h.t.Helper()
	f := &following{home: h, limit: limit, issuers: issuers}
	f.clients()
	f.resources()
	f.keys()
	return f.took
}

type following struct {
	*home
	limit   time.Duration
	issuers []*program
	took    []time.Duration
}

// reaches waits until every issuer follows a change.
func (f *following) reaches(what string, follows func(*program) error) {
	f.t.Helper()
	made := time.Now()
	for i, p := range f.issuers {
		f.must(untilAfter(made.Add(f.limit+time.Second), func() error { return follows(p) })) // a second more, to know how long
		after := time.Since(made)
		f.t.Logf("%s: at issuer %d after %v", what, i+1, after.Round(time.Millisecond))
		if after > f.limit {
			f.t.Errorf("%s: at issuer %d only after %v", what, i+1, after)
		}
		f.took = append(f.took, after)
	}
}

// answers wants that answer to whoever asks by a secret.
func (f *following) answers(status int, id, secret string) func(*program) error {
	return func(p *program) error {
		got, err := p.withSecret(id, secret)
		return wants(status, got, err)
	}
}

func (f *following) clients() {
	f.t.Helper()
	for _, p := range f.issuers { // so that it is known that nobody has that name
		f.must(f.answers(401, "new", "none")(p))
	}
	secret := f.ok("clients", "add", "new", "--secret", "--allow", "https://orders.example.com")
	f.reaches("a client added", f.answers(200, "new", secret))
	second := f.ok("clients", "add-secret", "new")
	f.reaches("a secret added", f.answers(200, "new", second))
	f.ok("clients", "disable", "new")
	f.reaches("a client disabled", f.answers(401, "new", secret))
	f.ok("clients", "enable", "new")
	f.reaches("a client enabled", f.answers(200, "new", secret))
	f.ok("clients", "delete", "new")
	f.reaches("a client deleted", f.answers(401, "new", second))
}

func (f *following) resources() {
	f.t.Helper()
	secret := f.ok("clients", "add", "other", "--secret", "--allow", "https://orders.example.com")
	f.reaches("another client added", f.answers(200, "other", secret))
	f.ok("resources", "disable", "https://orders.example.com")
	f.reaches("a resource disabled", f.answers(400, "other", secret))
	f.ok("resources", "enable", "https://orders.example.com")
	f.reaches("a resource enabled", f.answers(200, "other", secret))
}

func (f *following) keys() {
	f.t.Helper()
	first, standby := f.kid(keys.Active), f.kid(keys.Standby)
	f.must(until(func() error { return f.try("keys", "rotate", "--jwks-max-age", "1s", "--keys-publish-ahead", "2s") }))
	f.reaches("a key rotated", publishes(standby))
	f.must(until(func() error { return f.issuers[0].metric(`signet_keys{alg="ES256",state="standby"} 1`) }))
	next := f.kid(keys.Standby)
	f.ok("keys", "revoke", "--", standby)
	f.reaches("a key revoked", publishes(next, standby))
	f.ok("keys", "revoke", "--all")
	f.reaches("all keys revoked", publishes(f.kid(keys.Active), first, standby, next))
}

// publishes wants that key to be published as the one that signs, and none of the others.
func publishes(first string, others ...string) func(*program) error {
	return func(p *program) error {
		kids, err := p.published()
		if err != nil {
			return err
		}
		if kids[0] != first || slices.ContainsFunc(others, func(kid string) bool { return slices.Contains(kids, kid) }) {
			return fmt.Errorf("publishes %q, want %q first and none of %q", kids, first, others)
		}
		return nil
	}
}

// try runs a command that may fail for now.
func (h *home) try(args ...string) error {
	if got := h.run(args...); got.code != exitOK {
		return errors.New(got.stderr)
	}
	return nil
}

// untilAfter is until with a deadline of its own.
func untilAfter(deadline time.Time, try func() error) error {
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for {
		err := try()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		<-again.C
	}
}
