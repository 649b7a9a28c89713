package store

import (
	"context"
	"math/rand/v2"
	"time"
)

// Listener wakes whoever waits for changes that other issuers make. It needs a connection that a pooler does not lend to
// others; where it has none nothing is announced, and changes are found by looking.
type Listener struct{ Store *Store }

const (
	leastListenPause = time.Second
	mostListenPause  = 30 * time.Second
)

// Run calls heard for each announcement, and whenever some may have been missed, until ctx ends. Heard must not block.
func (l Listener) Run(ctx context.Context, heard func()) {
	pause := leastListenPause
	for ctx.Err() == nil {
		began := time.Now()
		err := l.Store.listen(ctx, heard)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > mostListenPause {
			pause = leastListenPause
		}
		l.Store.cfg.Log.Warn("no announcements of changes; looking for them meanwhile", "cause", err)
		timer := time.NewTimer(pause/2 + rand.N(pause/2)) // issuers that lost the same database do not come back as one
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		pause = min(2*pause, mostListenPause)
	}
}
