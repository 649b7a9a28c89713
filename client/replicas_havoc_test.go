package main_test

import (
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/signet/keys/keystest/pgtest"
)

// havoc is what happens to issuers and their database. Its pace is that of the crowd: a slow machine gets no more of it.
type havoc struct {
	t        *testing.T
	crowd    *crowd
	issuers  []*program
	database *pgtest.Server
	random   *rand.Rand

	kills, restarts int
}

const havocSeed = 20261125

func newHavoc(t *testing.T, c *crowd, issuers []*program, database *pgtest.Server) *havoc {
	return &havoc{t: t, crowd: c, issuers: issuers, database: database, random: rand.New(rand.NewPCG(havocSeed, 0))}
}

// rage kills issuers all the time, and at a third and two thirds of it ends the database: first in good order, then as a
// crash does.
func (h *havoc) rage(within time.Duration) {
	h.t.Helper()
	ends := []func(){h.database.Stop, h.database.Kill}
	began := time.Now()
	for time.Since(began) < within || h.restarts < len(ends) {
		if n := h.restarts; n < len(ends) && time.Since(began) >= within*time.Duration(n+1)/3 {
			h.restartDatabase(ends[n])
		} else {
			h.killSome()
		}
	}
}

// killSome kills one or two of the issuers, and starts them again.
func (h *havoc) killSome() {
	h.t.Helper()
	h.awaitTokens(10, 50)
	victims := h.random.Perm(len(h.issuers))[:1+h.random.IntN(2)]
	for _, i := range victims {
		h.kill(i)
		h.awaitTokens(0, 20)
	}
	for _, i := range victims {
		h.awaitServing(i, h.spawn(i))
	}
}

// restartDatabase ends the database, kills an issuer meanwhile, and lets that start before the database is back.
func (h *havoc) restartDatabase(end func()) {
	h.t.Helper()
	victim := h.random.IntN(len(h.issuers))
	end()
	h.awaitRefusals(10)
	h.kill(victim)
	begin := h.spawn(victim)
	h.awaitRefusals(10)
	eventually(h.t, "an issuer waits for the database", func() bool {
		return strings.Contains(h.issuers[victim].log()[begin:], "waiting for the database")
	})
	h.database.Restart()
	h.restarts++
	h.awaitServing(victim, begin)
}

func (h *havoc) kill(i int) {
	h.crowd.front.isDoomed(i)
	h.issuers[i].kill(syscall.SIGKILL)
	h.crowd.front.isAt(i, "")
	h.kills++
}

// spawn starts an issuer where its address is its own: the old one may be another program's by now. It returns where its
// log begins.
func (h *havoc) spawn(i int) (begin int) {
	p := h.issuers[i]
	begin = len(p.log())
	p.spawn(append([]string{"--listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0"}, p.args...))
	return begin
}

func (h *havoc) awaitServing(i, begin int) {
	h.t.Helper()
	p := h.issuers[i]
	p.awaitServing(begin)
	h.crowd.front.isAt(i, p.url)
}

// awaitTokens waits for a number of tokens between least and most.
func (h *havoc) awaitTokens(least, most int) {
	h.t.Helper()
	want := h.crowd.tally().granted + least + h.random.IntN(most-least)
	eventually(h.t, "clients have tokens", func() bool { return h.crowd.tally().granted >= want })
}

func (h *havoc) awaitRefusals(n int) {
	h.t.Helper()
	want := h.crowd.tally().notNow + n
	eventually(h.t, "clients are asked to come again", func() bool { return h.crowd.tally().notNow >= want })
}

// report tells what was done, and what the issuers had to say to it if the test has failed.
func (h *havoc) report(t *testing.T) {
	t.Helper()
	t.Logf("issuers killed: %d, restarts of the database: %d; seed of that: %d", h.kills, h.restarts, havocSeed)
	for _, p := range h.issuers {
		if t.Failed() {
			t.Logf("troubles of %s %s:\n%s", p.name, p.url, p.troubles())
		}
	}
}
