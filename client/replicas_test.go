package main_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest/pgtest"
)

// replicasLife is how long their tokens live.
const replicasLife = 5 * time.Second

// replicasRotation rotates several times within the test. A key is published for longer than any time in which the
// database is away: until then an issuer that has not read it does not publish it either.
var replicasRotation = []string{
	"--keys-rotate-every", "12s", "--keys-publish-ahead", "10s", "--keys-retention", "6s", "--jwks-max-age", "1s",
	"--leeway", leeway.String(),
}

// manyRequests are limits that let one machine ask as often as the test does.
var manyRequests = []string{"--limit-address-rate", "10000", "--limit-client-rate", "10000"}

// Any number of issuers on one database are one issuer, whichever of them is killed, and whether or not the database is
// there: no valid token is refused, no assertion is good twice, whoever is refused is told to come again and then has a
// token, and what the operator was told is changed stays so.
func TestReplicas(t *testing.T) {
	t.Parallel()
	const replicas = 3
	database := pgtest.Start(t)
	w := newWorld(t)
	front := newGate(t, replicas)
	askers := replicaAskers(t, w)
	settings := replicaSettings(w, database, askers)
	issuers := startReplicas(w, front, settings)
	sites, programs := startSites(w, front.server.URL)
	l := newLoad(t, w, front.server.URL, sites)
	l.leeway, l.again = leeway, replicasLife/2
	c := &crowd{load: l, front: front, askers: askers}
	operators := []*operator{newOperator(w, settings, c, "a", 1), newOperator(w, settings, c, "b", 2)}
	h := newHavoc(t, c, issuers, database)
	t.Cleanup(func() { // after they have stopped, however the test ends
		c.report(t)
		l.report(t, programs...)
		reportOperators(t, operators)
		h.report(t)
	})

	within := shortOr(60 * time.Second)
	stop := c.start(t)
	stopOperators := startOperators(t, operators)
	h.rage(within)
	stopOperators()
	stop()

	c.replayAll(t)
	wantReplaysKnown(t, c, issuers)
	wantRegistry(t, w, settings, askers, operators)
	wantCredentials(t, c, operators)
	wantOneSet(t, l, front)
	if !testing.Short() {
		wantRotated(t, l)
	}
	for _, p := range issuers {
		p.waitReady()
	}
}

// replicaSettings returns the settings that commands and issuers share, for a database that has keys and a registry.
func replicaSettings(w *world, database *pgtest.Server, askers []*asker) []string {
	w.t.Helper()
	settings := append([]string{"--database", database.URL(), "--master-key-file", w.path("master.key")}, replicasRotation...)
	w.write("registry.yaml", replicasRegistry(askers))
	w.command("issuer", "master-key", "generate", w.path("master.key")).mustRun(w.t)
	w.command("issuer", append([]string{"keys", "generate"}, settings...)...).mustRun(w.t)
	w.command("issuer", append([]string{"registry", "apply", "-f", w.path("registry.yaml")}, settings...)...).mustRun(w.t)
	return settings
}

func startReplicas(w *world, front *gate, settings []string) (issuers []*program) {
	w.t.Helper()
	for i := range front.backends {
		p := w.start("issuer", slices.Concat([]string{"--issuer", front.server.URL}, manyRequests, settings)...)
		issuers = append(issuers, p)
		front.isAt(i, p.url)
	}
	return issuers
}

// replicaAskers are two clients with keys and two with secrets, for two resources.
func replicaAskers(t *testing.T, w *world) []*asker {
	t.Helper()
	w.genkeys("second")
	return []*asker{
		keyAsker(t, "demo", es256Audience, w.path("keys/client/demo.pem")),
		keyAsker(t, "second", rs256Audience, w.path("second/client/demo.pem")),
		{id: "third", audience: es256Audience, secret: rand.Text()},
		{id: "fourth", audience: rs256Audience, secret: rand.Text()},
	}
}

// replicasRegistry has the resources and the client of rotationRegistry, and the others of the askers.
func replicasRegistry(askers []*asker) string {
	var text strings.Builder
	fmt.Fprintf(&text, rotationRegistry, replicasLife)
	for _, a := range askers {
		switch {
		case a.id == "demo": // is there already
			continue
		case a.key != nil:
			fmt.Fprintf(&text, "  - id: %s\n    keys:\n      - file: %s/client/demo.pub.pem\n", a.id, a.id)
		default:
			fmt.Fprintf(&text, "  - id: %s\n    secrets:\n      - sha256: %x\n", a.id, sha256.Sum256([]byte(a.secret)))
		}
		fmt.Fprintf(&text, "    allow:\n      - resource: %s\n        scopes: [read]\n        default_scopes: [read]\n",
			a.audience)
	}
	return text.String()
}

// wantReplaysKnown fails the test when an issuer refused one of the crowd for any other reason than that its assertion was
// used before, or answered with a 5xx that does not say to come again.
func wantReplaysKnown(t *testing.T, c *crowd, issuers []*program) {
	t.Helper()
	known := 0
	for _, p := range issuers {
		for line := range strings.Lines(p.log()) {
			switch {
			case strings.Contains(line, `"status":503`):
			case strings.Contains(line, `"status":5`):
				t.Errorf("an issuer answered 5xx: %s", line)
			case !strings.Contains(line, `"status":401`) || !c.has(line):
			case strings.Contains(line, `"cause":"assertion: jti was used before"`):
				known++
			default:
				t.Errorf("an issuer refused a client: %s", line)
			}
		}
	}
	if n := c.tally().replaysRefused; known < n {
		t.Errorf("%d replays were refused, and the issuers' logs know of %d", n, known)
	}
}

// has reports whether a line of an issuer's log is about a client of the crowd.
func (c *crowd) has(line string) bool {
	return slices.ContainsFunc(c.askers, func(a *asker) bool {
		return strings.Contains(line, fmt.Sprintf(`"client_id":%q`, a.id))
	})
}

// wantOneSet fails the test when the issuers do not come to publish the same keys.
func wantOneSet(t *testing.T, l *load, front *gate) {
	t.Helper()
	eventually(t, "all issuers publish the same keys", func() bool {
		var sets [][]byte
		for i := range front.backends {
			set, err := l.published(front.address(i))
			if err != nil {
				t.Fatal(err)
			}
			sets = append(sets, set)
		}
		return bytes.Equal(sets[0], sets[1]) && bytes.Equal(sets[0], sets[2])
	})
}

// wantRotated fails the test when the keys did not rotate while all that went on.
func wantRotated(t *testing.T, l *load) {
	t.Helper()
	const least = 3 // of five periods
	for _, alg := range keys.Algorithms() {
		if n := l.signers(alg); n < least {
			t.Errorf("%s: %d keys signed, want %d or more", alg, n, least)
		}
	}
}
