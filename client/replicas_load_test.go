package main_test

import (
	"context"
	"sync"
	"testing"
	"time"
)

// crowd is clients that ask several issuers for tokens without pause.
type crowd struct {
	load   *load // what becomes of the tokens
	front  *gate
	askers []*asker

	running sync.WaitGroup

	mu    sync.Mutex
	sent  []*request // guarded by mu: every assertion that was
	count tally      // guarded by mu
}

// tally is what the answers to token requests came to.
type tally struct {
	granted   int
	notNow    int // clean 503s
	cut       int // by the end of an issuer
	recovered int // requests that were refused or cut off, and granted when they were made anew
	races     int // assertions that all issuers got at once

	replaysRefused   int
	replaysUndecided int // with a 503, or by the end of an issuer
}

const (
	askEvery   = 150 * time.Millisecond // each client
	raceEvery  = 500 * time.Millisecond // each client with a key
	lookBack   = 50 * time.Millisecond  // from one replay of any assertion to the next
	leastPause = 200 * time.Millisecond
	mostPause  = 2 * time.Second
)

// start lets the clients go. What it returns makes them stop, and waits until each has what it asked for; the end of the
// test does the same.
func (c *crowd) start(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	often := func(interval time.Duration, do func()) {
		// Not one after the other: a slow answer shall not spare the issuers the next request.
		c.running.Go(func() { every(ctx, interval, func() { c.running.Go(do) }) })
	}
	for _, a := range c.askers {
		often(askEvery, func() { c.obtain(ctx, a) })
		if a.key != nil {
			often(raceEvery, func() { c.race(ctx, a) })
		}
	}
	often(lookBack, func() { c.replayAny(ctx) })
	stop = func() {
		cancel()
		c.running.Wait()
	}
	t.Cleanup(stop) // when the test ended in another way
	return stop
}

// obtain asks, with a new assertion each time, until there is a token, and uses that until it ends.
func (c *crowd) obtain(ctx context.Context, a *asker) {
	began := time.Now()
	for pause := leastPause; ; pause = min(2*pause, mostPause) {
		asked := time.Now()
		r := a.request(c.load.issuer)
		v, token := c.send(r, c.front.server.URL)
		c.keep(r)
		switch {
		case v == granted:
			if pause > leastPause {
				c.add(func(n *tally) { n.recovered++ })
			}
			c.running.Go(func() { c.replayEverywhere(ctx, r) })
			c.use(ctx, a, token, asked)
			return
		case v == denied:
			c.load.fail(nil, "", "%s is refused a token", a.id)
			return
		case v == wrong:
			return
		case time.Since(began) > patience:
			c.load.fail(nil, "", "%s has no token after %v", a.id, patience)
			return
		}
		<-time.After(pause) // as a client does that is asked to come again
	}
}

// race sends one assertion to all issuers at once. One of them takes it, unless none could tell.
func (c *crowd) race(ctx context.Context, a *asker) {
	asked := time.Now()
	r := a.request(c.load.issuer)
	verdicts := make([]verdict, len(c.front.backends))
	var racing sync.WaitGroup
	for i := range verdicts {
		racing.Go(func() {
			var token string
			if verdicts[i], token = c.send(r, c.front.address(i)); verdicts[i] == granted {
				c.running.Go(func() { c.use(ctx, a, token, asked) })
			}
		})
	}
	racing.Wait()
	c.keep(r)
	c.add(func(n *tally) { n.races++ })
	refusals := make(map[verdict]int)
	for _, v := range verdicts {
		refusals[v]++
	}
	switch {
	case refusals[denied] == len(verdicts):
		c.load.fail(nil, "", "every issuer refuses an assertion of %s that is new", a.id)
	case refusals[granted] == 0:
		c.obtain(ctx, a)
	}
}

// use presents a token to all the resource servers that it is for.
func (c *crowd) use(ctx context.Context, a *asker, token string, asked time.Time) {
	if k, ok := c.load.ticketFor(token); ok {
		c.load.noteSigning(k, asked)
		c.load.presentToAll(ctx, c.load.sites[a.audience], k)
	}
}

// send sends a request that was not sent before, or is being sent, and counts what comes of it.
func (c *crowd) send(r *request, address string) (verdict, string) {
	v, token := c.ask(r, address)
	switch v {
	case granted:
		c.accepted(r)
	case notNow:
		c.add(func(n *tally) { n.notNow++ })
	case cutOff:
		c.add(func(n *tally) { n.cut++ })
	}
	return v, token
}

// accepted wants that each assertion is accepted once.
func (c *crowd) accepted(r *request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count.granted++
	r.accepted++
	if r.assertion != "" && r.accepted > 1 {
		c.load.fail(nil, "", "an assertion of %s was accepted %d times", r.id, r.accepted)
	}
}

func (c *crowd) add(what func(*tally)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	what(&c.count)
}

func (c *crowd) tally() tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// report tells what came of it all, and fails the test where that shows nothing. What failed is in the load's report.
func (c *crowd) report(t *testing.T) {
	t.Helper()
	n := c.tally()
	t.Logf("tokens granted: %d; refused with 503: %d, cut off with their issuer: %d; made anew and granted: %d", n.granted,
		n.notNow, n.cut, n.recovered)
	t.Logf("assertions that all issuers got at once: %d; replays refused: %d, undecided: %d; assertions in all: %d", n.races,
		n.replaysRefused, n.replaysUndecided, len(c.sent))
	if n.notNow == 0 || n.recovered == 0 || n.races == 0 || n.replaysRefused < len(c.sent) {
		t.Error("that shows nothing")
	}
	for _, problem := range c.front.problems() {
		t.Error(problem)
	}
}
