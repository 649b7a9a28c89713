package main_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// operator changes the registry by the real command all the time, and keeps what he was told.
type operator struct {
	w        *world
	settings []string
	crowd    *crowd
	name     string
	random   *rand.Rand

	clients      []*managed
	acknowledged int
	failed       int
	problems     []string
}

// managed is a client that an operator has made. Once a change of it has failed he leaves it alone, for he does not know
// whether it was made.
type managed struct {
	id      string
	may     []shape // what it may be at the end: one, or two when a change has failed
	secrets []string
}

// shape is what clients list and the audit trail say of a client. The zero value is none.
type shape struct {
	There, Enabled bool
	Secrets        int
}

const changeEvery = 300 * time.Millisecond // each operator

func newOperator(w *world, settings []string, c *crowd, name string, seed uint64) *operator {
	return &operator{w: w, settings: settings, crowd: c, name: name, random: rand.New(rand.NewPCG(seed, 0))}
}

// startOperators lets them go. What it returns makes them stop, and waits for it; the end of the test does the same.
func startOperators(t *testing.T, all []*operator) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, o := range all {
		running.Go(func() { every(ctx, changeEvery, o.change) })
	}
	stop = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(stop) // when the test ended in another way
	return stop
}

// change makes one change: a new client, or another state of one that is there.
func (o *operator) change() {
	const few = 4
	var there []*managed
	for _, m := range o.clients {
		if len(m.may) == 1 && m.may[0].There {
			there = append(there, m)
		}
	}
	if len(there) < few || o.random.IntN(3) == 0 {
		m := &managed{id: fmt.Sprintf("%s-%d", o.name, len(o.clients)), may: []shape{{}}}
		o.clients = append(o.clients, m)
		o.run(m, shape{There: true, Enabled: true, Secrets: 1}, "add", m.id, "--secret",
			"--allow", es256Audience+" read", "--default-scopes", es256Audience+" read")
		return
	}
	m := there[o.random.IntN(len(there))]
	after := m.may[0]
	switch n := o.random.IntN(5); {
	case n == 0:
		o.run(m, shape{}, "delete", m.id)
	case n < 3 && after.Secrets < 2:
		after.Secrets++
		o.run(m, after, "add-secret", m.id)
	case after.Enabled:
		after.Enabled = false
		o.run(m, after, "disable", m.id)
	default:
		after.Enabled = true
		o.run(m, after, "enable", m.id)
	}
}

// run runs issuer clients. It may fail only because the database is away.
func (o *operator) run(m *managed, after shape, args ...string) {
	got := o.w.command("issuer", slices.Concat([]string{"clients"}, args, o.settings)...).run()
	if got.code != 0 {
		o.failed++
		m.may = append(m.may, after)
		if !strings.Contains(got.stderr, "the database does not answer") {
			o.problems = append(o.problems, fmt.Sprintf("clients %v: exit %d\n%s", args, got.code, got.stderr))
		}
		return
	}
	o.acknowledged++
	m.may = []shape{after}
	if secret := strings.TrimSpace(got.stdout); secret != "" {
		m.secrets = append(m.secrets, secret)
	}
	o.use(m)
}

// use asks for a token as a client that has just been changed, at an issuer that may know it as it was before, or know no
// such client: it has to forget that.
func (o *operator) use(m *managed) {
	for _, secret := range m.secrets {
		o.crowd.ask(m.request(secret), o.crowd.front.anyAddress())
	}
}

func (m *managed) request(secret string) *request {
	return &request{asker: &asker{id: m.id, audience: es256Audience, secret: secret}}
}

// reportOperators tells what was done, and fails the test where that shows nothing.
func reportOperators(t *testing.T, operators []*operator) {
	t.Helper()
	for _, o := range operators {
		t.Logf("operator %s: changes acknowledged: %d, failed: %d, clients: %d", o.name, o.acknowledged, o.failed, len(o.clients))
		if o.acknowledged == 0 {
			t.Error("that shows nothing")
		}
		for _, problem := range o.problems {
			t.Error(problem)
		}
	}
}
