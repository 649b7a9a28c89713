package main

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/signet/keys/keystest"
	"example.com/signet/keys/keystest/pgtest"
)

// stale is how long the clients in memory are served in these tests while the database is away.
const stale = 4 * time.Second

// While PostgreSQL is away, in whatever way, the clients in memory that have secrets get tokens for a while; everybody else
// is told to come again, and it shows. When it is back all goes on, and whatever was acknowledged before is there.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name      string
		away, end func(*pgtest.Server)
	}{
		{"stopped", (*pgtest.Server).Stop, (*pgtest.Server).Restart},
		{"killed", (*pgtest.Server).Kill, (*pgtest.Server).Restart},
		{"hanging", (*pgtest.Server).Pause, (*pgtest.Server).Resume},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			server := pgtest.Start(t)
			registry, secret := keyed(t)
			h := newDatabaseHome(t, server.URL(), registry)
			o := &outage{home: h, secret: secret, p: h.start(append(unlimited(), "--database-max-stale", stale.String())...)}
			o.before()
			row.away(server)
			o.began = time.Now()
			o.during()
			row.end(server)
			o.after()
		})
	}
}

// outage is an issuer whose database goes away and comes back.
type outage struct {
	*home
	p     *program
	began time.Time

	secret         string            // of legacy, which is in memory
	later, revoked string            // of clients that nobody has asked for, and that is disabled at the last moment
	fresh          url.Values        // an assertion to present meanwhile
	spent          func(step string) // presents an assertion that was used before
}

func (o *outage) must200(step string) func(answer, error) {
	return func(got answer, err error) {
		o.t.Helper()
		if err := wants(200, got, err); err != nil {
			o.t.Errorf("%s: %v", step, err)
		}
	}
}

func (o *outage) before() {
	o.t.Helper()
	o.later = o.ok("clients", "add", "later", "--secret", "--allow", "https://orders.example.com")
	o.revoked = o.ok("clients", "add", "revoked", "--secret", "--allow", "https://orders.example.com")
	o.must(until(func() error { // whoever asks while a change is followed is not kept in memory
		o.must200("a secret, before")(o.p.withSecret("legacy", o.secret))
		o.must200("the one that is revoked, before")(o.p.withSecret("revoked", o.revoked))
		return o.p.metric("signet_registry_clients 2")
	}))
	form := asserted(o.t, common, "billing", keystest.Key(keystest.ES256Other))
	o.p.present("an assertion, before", form, true)
	o.fresh = asserted(o.t, common, "billing", keystest.Key(keystest.ES256Other))
	o.spent = func(step string) { o.p.present(step, form, false) }
	o.ok("clients", "disable", "revoked")
}

func (o *outage) during() {
	o.t.Helper()
	ended := o.askUntilRefused()
	var asking sync.WaitGroup
	asking.Go(func() { o.unavailable("a client that is not in memory")(o.p.withSecret("later", o.later)) })
	asking.Go(func() { o.unavailable("one that there is not")(o.p.withSecret("nobody", o.secret)) })
	asking.Go(func() {
		o.unavailable("an assertion")(ask(impatient, o.p.at(), o.fresh))
	})
	asking.Wait()
	refused := <-ended
	o.unavailable("a secret after a while")(refused.answer, refused.err)
	lasted := refused.at.Sub(o.began)
	o.t.Logf("a secret was good for %v", lasted.Round(time.Millisecond))
	if lasted < stale-1500*time.Millisecond || lasted > 2*stale { // it looks every second
		o.t.Errorf("a secret was good for %v, want %v", lasted, stale)
	}
	o.shows()
}

// unavailable wants an answer that says to come again.
func (o *outage) unavailable(step string) func(answer, error) {
	return func(got answer, err error) {
		o.t.Helper()
		wait, notNumber := strconv.Atoi(got.retryAfter)
		if err != nil || got.status != 503 || got.code != "temporarily_unavailable" || notNumber != nil || wait < 1 {
			o.t.Errorf("%s: %+v, error %v", step, got, err)
		}
	}
}

type lastAnswer struct {
	answer
	err error
	at  time.Time
}

// askUntilRefused asks with the secret of a client in memory until there is no token. Each token comes at once: one that has
// waited for the database is a fault by itself.
func (o *outage) askUntilRefused() <-chan lastAnswer {
	ended := make(chan lastAnswer, 1)
	go func() {
		again := time.NewTicker(20 * time.Millisecond)
		defer again.Stop()
		for {
			<-again.C
			began := time.Now()
			got, err := o.p.withSecret("legacy", o.secret)
			if took := time.Since(began); err == nil && took > 2*time.Second {
				err = fmt.Errorf("it took %v", took)
			}
			if err != nil || got.status != 200 || time.Since(o.began) > 3*stale {
				ended <- lastAnswer{got, err, time.Now()}
				return
			}
		}
	}()
	return ended
}

// shows wants the log, the metrics and the health to tell what is wrong.
func (o *outage) shows() {
	o.t.Helper()
	o.p.log.await(o.t, o.p.ended, "following the registry failed; serving what is known of it", `"for_at_most":"`)
	o.must(until(func() error { return o.p.metric("signet_database_trouble 1") }))
	o.must(until(func() error { return o.p.metric("signet_keys_trouble 1") }))
	o.must(o.p.metric("signet_registry_trouble 1"))
	status, text := o.p.verbose()
	if status != 200 || !strings.Contains(text, "trouble database: ") || !strings.Contains(text, "trouble registry: ") ||
		!strings.HasSuffix(text, "\nready\n") {
		o.t.Errorf("/readyz?verbose: %d\n%s", status, text)
	}
}

func (o *outage) after() {
	o.t.Helper()
	back := time.Now()
	o.must(untilAfter(back.Add(20*time.Second), func() error {
		got, err := o.p.withSecret("legacy", o.secret)
		return wants(200, got, err)
	}))
	o.t.Logf("a secret is good again after %v", time.Since(back).Round(time.Millisecond))
	o.must(untilAfter(back.Add(20*time.Second), func() error {
		got, err := o.p.assert("billing", keystest.Key(keystest.ES256Other))
		return wants(200, got, err)
	}))
	o.must200("the client that nobody had asked for")(o.p.withSecret("later", o.later))
	o.reach("the client that was disabled before", 401)
	o.spent("an assertion from before")
	o.must(until(func() error { return o.p.metric("signet_database_trouble 0") }))
	o.must(until(func() error { return o.p.metric("signet_keys_trouble 0") }))
	o.must(until(func() error { return o.p.metric("signet_registry_trouble 0") }))
	o.must(until(func() error {
		if status, text := o.p.verbose(); status != 200 || strings.Contains(text, "trouble") {
			return fmt.Errorf("/readyz?verbose: %d\n%s", status, text)
		}
		return nil
	}))
	o.p.log.await(o.t, o.p.ended, "following the registry again")
	o.ok("clients", "enable", "revoked")
	o.reach("the client that is enabled again", 200)
	o.p.stop()
}

// reach waits until that is the answer to the client that was disabled: a change may take five seconds.
func (o *outage) reach(step string, status int) {
	o.t.Helper()
	err := until(func() error {
		got, err := o.p.withSecret("revoked", o.revoked)
		return wants(status, got, err)
	})
	if err != nil {
		o.t.Errorf("%s: %v", step, err)
	}
}
