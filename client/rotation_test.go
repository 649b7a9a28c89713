package main_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/signet/keys"
)

const (
	es256Audience = "https://es256.example.com"
	rs256Audience = "https://rs256.example.com"
)

// rotationRegistry wants both algorithms; its tokens live for as long as it is given.
const rotationRegistry = `
resources:
  - audience: ` + es256Audience + `
    scopes: [read]
    token_lifetime: %[1]v
  - audience: ` + rs256Audience + `
    scopes: [read]
    algorithm: RS256
    token_lifetime: %[1]v
clients:
  - id: demo
    keys:
      - file: keys/client/demo.pub.pem
    allow:
      - resource: ` + es256Audience + `
        scopes: [read]
        default_scopes: [read]
      - resource: ` + rs256Audience + `
        scopes: [read]
        default_scopes: [read]
`

// The fastest schedule for tokens of two seconds: each setting is as small as issuer check lets it be beside the others,
// so that a key that comes late or goes early is missed by somebody.
const (
	rotateEvery = 4 * time.Second
	tokenLife   = 2 * time.Second
	leeway      = time.Second
)

var fastRotation = []string{
	"--keys-rotate-every", rotateEvery.String(), "--keys-publish-ahead", "2s", "--keys-retention", "3s",
	"--jwks-max-age", "1s", "--leeway", leeway.String(),
}

// startSite starts a resource server that refreshes its keys as often as their max-age says.
func startSite(w *world, issuer, audience string, args ...string) *program {
	w.t.Helper()
	return w.start("resource", append([]string{"--issuer", issuer, "--audience", audience, "--leeway", leeway.String(),
		"--jwks-min-refresh", "500ms"}, args...)...)
}

// startSites starts three resource servers, two of them for one audience, and waits until they have keys.
func startSites(w *world, issuer string, args ...string) (sites map[string][]*program, all []*program) {
	w.t.Helper()
	sites = make(map[string][]*program)
	for _, audience := range []string{es256Audience, es256Audience, rs256Audience} {
		p := startSite(w, issuer, audience, args...)
		sites[audience] = append(sites[audience], p)
		all = append(all, p)
	}
	for _, p := range all {
		p.waitReady()
	}
	return sites, all
}

// wantRotations fails the test when fewer keys signed than that time has periods, but for the few that a machine which
// is busy with other things may miss.
func wantRotations(t *testing.T, l *load, within time.Duration) {
	t.Helper()
	periods := int(within / rotateEvery)
	for _, alg := range keys.Algorithms() {
		if got, want := l.signers(alg), max(2, periods-2); got < want {
			t.Errorf("%s: %d keys signed within %v, want %d or more", alg, got, within, want)
		}
	}
}

// shortOr is d, or a fifth of it under -short.
func shortOr(d time.Duration) time.Duration {
	if testing.Short() {
		return d / 5
	}
	return d
}

// An issuer that rotates as fast as it may never makes a valid token fail, from a token's first moment to its last. The
// resource servers keep to the usual cool-down, which their own refreshes renew all the time: none of them asks for an
// unknown key, so each has to have it before it signs.
func TestRotationUnderLoad(t *testing.T) {
	w := newWorld(t)
	w.write("registry.yaml", fmt.Sprintf(rotationRegistry, tokenLife))
	args := append([]string{"--keys-dir", w.path("keys/issuer"), "--registry", w.path("registry.yaml")}, fastRotation...)
	w.command("issuer", append([]string{"check"}, args...)...).mustRun(t)
	issuer := w.start("issuer", args...)
	sites, programs := startSites(w, issuer.url)
	l := newLoad(t, w, issuer.url, sites)
	l.leeway, l.again = leeway, tokenLife/3

	within := shortOr(60 * time.Second)
	stopWatch := watchRing(t, w.path("keys/issuer"))
	stop := l.start(t)
	time.Sleep(within) // the clock is what is tested
	stop()
	l.report(t, append(programs, issuer)...)
	stopWatch().check(t, rotateEvery, l.signed)
	wantRotations(t, l, within)
}

// Two issuers on one directory are one issuer, whichever of them is killed, and at whatever moment.
func TestRotationTwoIssuers(t *testing.T) {
	w := newWorld(t)
	w.write("registry.yaml", fmt.Sprintf(rotationRegistry, tokenLife))
	front := newBalancer(t, 2)
	args := append([]string{"--keys-dir", w.path("keys/issuer"), "--registry", w.path("registry.yaml"),
		"--issuer", front.server.URL}, fastRotation...)
	var issuers []*program
	for i := range front.backends {
		p := w.start("issuer", args...)
		issuers = append(issuers, p)
		front.isAt(i, p.url)
	}
	sites, programs := startSites(w, front.server.URL)
	l := newLoad(t, w, front.server.URL, sites)
	l.leeway, l.again, l.killed = leeway, tokenLife/3, true

	within := shortOr(60 * time.Second)
	stopWatch := watchRing(t, w.path("keys/issuer"))
	var sets agreement
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var comparing sync.WaitGroup
	comparing.Go(func() { every(ctx, 100*time.Millisecond, func() { sets.look(l, front) }) })
	stop := l.start(t)
	kills := killAtRandom(t, issuers, front, within)
	stop()
	cancel()
	comparing.Wait()
	l.report(t, append(programs, issuers...)...)
	stopWatch().check(t, rotateEvery, l.signed)
	wantRotations(t, l, within)
	t.Logf("issuers killed: %d, requests given to the other one: %d; JWK Sets compared: %d, apart for %v at the longest",
		kills, front.retries.Load(), sets.compared, sets.longest)
	if sets.longest > 2*time.Second {
		t.Errorf("the issuers published different keys for %v", sets.longest)
	}
	if sets.compared == 0 || kills == 0 {
		t.Errorf("compared %d times and killed %d times: nothing is shown", sets.compared, kills)
	}
}

// killAtRandom kills one of the issuers again and again, and starts it again where its address is its own: the old one
// may be another program's by then. One of them is up at any moment.
func killAtRandom(t *testing.T, issuers []*program, front *balancer, within time.Duration) (kills int) {
	t.Helper()
	const seed = 20261123
	t.Logf("seed of the kills: %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	upTo := func(least, most time.Duration) { time.Sleep(least + time.Duration(random.Int64N(int64(most-least)))) }
	for end := time.Now().Add(within); time.Now().Before(end); kills++ {
		upTo(500*time.Millisecond, 4*time.Second)
		i := random.IntN(len(issuers))
		p := issuers[i]
		p.kill(syscall.SIGKILL)
		upTo(0, 2*time.Second)
		p.run(append([]string{"--listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0"}, p.args...))
		front.isAt(i, p.url)
	}
	return kills
}

// A key that is stolen is out of use within one max-age, and what signs in its place is in use at once.
func TestRevocationUnderLoad(t *testing.T) {
	w := newWorld(t)
	w.write("registry.yaml", fmt.Sprintf(rotationRegistry, time.Minute)) // so that tokens do not end before they are refused
	const maxAge = time.Second
	args := []string{"--keys-dir", w.path("keys/issuer"), "--registry", w.path("registry.yaml"), "--jwks-max-age", maxAge.String()}
	issuer := w.start("issuer", args...)
	// With a cool-down that short, callers wait for a key that nobody could know before.
	sites, programs := startSites(w, issuer.url, "--jwks-cooldown", "200ms")
	l := newLoad(t, w, issuer.url, sites)
	l.leeway, l.again = leeway, time.Second
	eventually(t, "both standbys are published", func() bool { return publishedKeys(t, l, issuer).Len() == 4 })

	// Callers bring new keys, and those make a resource server fetch. This one sees none: it has the clock alone.
	quiet := startSite(w, issuer.url, es256Audience)
	quiet.waitReady()
	es256, rs256 := slices.Concat(sites[es256Audience], []*program{quiet}), sites[rs256Audience]
	programs = append(programs, quiet)
	rows := []struct {
		name     string
		kids     func(*keys.Set) []string // to be revoked
		args     func(kids []string) []string
		affected []*program
	}{
		{"the ES256 key that signs", signer(keys.ES256), theseKids, es256},
		{"the RS256 key that signs", signer(keys.RS256), theseKids, rs256},
		{"all", everyKid, func([]string) []string { return []string{"--all"} }, programs},
		{"the ES256 key that signs, once more", signer(keys.ES256), theseKids, es256},
	}
	stop := l.start(t)
	for _, row := range rows {
		time.Sleep(time.Second) // tokens of the key are in use everywhere
		old, ok := l.obtain(l.source(es256Audience))
		if ok {
			l.present(quiet, old)
		}
		kids := row.kids(publishedKeys(t, l, issuer))
		command := append([]string{"keys", "revoke", "--wait", "--private-listen",
			strings.TrimPrefix(issuer.private, "http://")}, args...)
		over := l.revoke(kids, maxAge+time.Second, func() {
			w.command("issuer", append(command, row.args(kids)...)...).mustRun(t)
		})
		time.Sleep(time.Until(over.Add(3 * l.again / 2))) // every token is presented once more at the least
		if ok {
			l.present(quiet, old)
		}
		wantRevoked(t, l, row.name, issuer, kids, row.affected)
	}
	stop()
	l.report(t, append(programs, issuer)...)
	// Each revocation of an algorithm's signing key makes another key sign.
	for alg, want := range map[keys.Algorithm]int{keys.ES256: 4, keys.RS256: 3} {
		if got := l.signers(alg); got != want {
			t.Errorf("%s: %d keys signed, want %d", alg, got, want)
		}
	}
}

// wantRevoked fails the test when the issuer still publishes one of the kids, or when a resource server has not shown that
// it refuses them.
func wantRevoked(t *testing.T, l *load, name string, issuer *program, kids []string, affected []*program) {
	t.Helper()
	refusals := l.turnedAway(kids)
	for _, p := range affected {
		if refusals[p] == 0 {
			t.Errorf("%s: resource server %s refused no token of the revoked keys", name, p.url)
		}
	}
	for key := range publishedKeys(t, l, issuer).All() {
		if slices.Contains(kids, key.ID()) {
			t.Errorf("%s: %s is published still", name, key.ID())
		}
	}
}

func publishedKeys(t *testing.T, l *load, issuer *program) *keys.Set {
	t.Helper()
	body, err := l.published(issuer.url)
	if err != nil {
		t.Fatal(err)
	}
	set, skipped, err := keys.ParseSet(body)
	if err != nil || len(skipped) > 0 {
		t.Fatalf("skipped %v, error %v", skipped, err)
	}
	return set
}

// signer picks the key of alg that signs: the first of its kind.
func signer(alg keys.Algorithm) func(*keys.Set) []string {
	return func(set *keys.Set) []string {
		for key := range set.All() {
			if key.Algorithm() == alg {
				return []string{key.ID()}
			}
		}
		return nil
	}
}

func everyKid(set *keys.Set) (kids []string) {
	for key := range set.All() {
		kids = append(kids, key.ID())
	}
	return kids
}

// theseKids names kids on a command line, where one in 64 of them looks like a flag.
func theseKids(kids []string) []string { return append([]string{"--"}, kids...) }
