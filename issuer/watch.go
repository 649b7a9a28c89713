package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"example.com/signet/issuer/internal/store"
)

// watch follows keys, registry and certificate, which are all looked at when SIGHUP comes, and what is in the database when
// another issuer announces a change; and it does what is to be done in the database now and then. What it returns ends
// that and waits for it.
func (p *parts) watch(ctx context.Context, uses *store.Uses) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	var hangup, announced bells
	follow := func(run func(context.Context, <-chan struct{}), when ...*bells) {
		bell := make(chan struct{}, 1) // one that has rung and was not heard yet does not ring twice
		for _, set := range when {
			*set = append(*set, bell)
		}
		running.Go(func() { run(ctx, bell) })
	}
	follow(p.keeper.Run, &hangup, &announced)
	if p.settings.Registry == "" {
		follow(p.registry.run, &hangup, &announced)
	} else {
		follow(p.registry.run, &hangup)
	}
	if p.certificate != nil {
		follow(p.certificate.Run, &hangup)
	}
	running.Go(func() { hangup.ringOnHangup(ctx) })
	running.Go(func() { store.Listener{Store: p.store}.Run(ctx, announced.ring) })
	running.Go(func() { store.Sweeper{Store: p.store}.Run(ctx) })
	running.Go(func() { uses.Run(ctx) })
	return func() {
		cancel()
		ended := make(chan struct{})
		go func() {
			running.Wait()
			close(ended)
		}()
		select {
		case <-ended:
		case <-time.After(stopAtMost): // all that is written is written in transactions
		}
	}
}

// stopAtMost is how long a stop waits for a database that does not answer.
const stopAtMost = 5 * time.Second

// bells wake whoever waits.
type bells []chan<- struct{}

func (b bells) ring() {
	for _, bell := range b {
		select {
		case bell <- struct{}{}:
		default:
		}
	}
}

// ringOnHangup rings for each SIGHUP until ctx ends.
func (b bells) ringOnHangup(ctx context.Context) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			b.ring()
		}
	}
}
