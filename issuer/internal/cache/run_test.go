package cache_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/signet/issuer/internal/cache"
	"example.com/signet/issuer/internal/clients"
)

// run runs the cache until what it returns is called.
func (w *world) run(wake <-chan struct{}) (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.Run(ctx, wake)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// Changes are looked for at every poll, and at once when there is word of one.
func TestRun(t *testing.T) {
	t.Parallel()
	for _, poll := range []time.Duration{0, 3 * time.Second} {
		t.Run(poll.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.db.put(named("billing", "it"))
				w.open(func(cfg *cache.Config) { cfg.Poll = poll })
				every := poll
				if poll == 0 {
					every = time.Second
				}
				w.wants("billing", "it")
				wake := make(chan struct{})
				stop := w.run(wake)
				w.db.put(named("billing", "new"))
				time.Sleep(every - 1)
				synctest.Wait()
				w.wants("billing", "it")
				time.Sleep(1 * time.Nanosecond)
				synctest.Wait()
				w.wants("billing", "new")
				time.Sleep(9 * every)
				synctest.Wait()
				if n := len(w.db.looks()); n != 11 {
					t.Errorf("%d looks, want 1 at start and 10", n)
				}
				w.db.put(named("billing", "newer"))
				wake <- struct{}{}
				synctest.Wait()
				w.wants("billing", "newer")
				stop()
				time.Sleep(10 * every)
				if n := len(w.db.looks()); n != 12 {
					t.Errorf("%d looks, want 12", n)
				}
			})
		})
	}
}

// Whatever fails, it goes on: the database was away for an hour.
func TestRunGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.db.put(named("billing", "it"))
		w.open(func(cfg *cache.Config) { cfg.Now = time.Now })
		w.wants("billing", "it")
		stop := w.run(nil)
		defer stop()
		time.Sleep(time.Second / 2) // between two polls
		w.db.away(errAway)
		w.db.put(named("billing", "new"))
		time.Sleep(maxStale - time.Second)
		w.wants("billing", "it")
		time.Sleep(time.Second)
		w.tooLong("billing")
		time.Sleep(time.Hour)
		w.tooLong("billing")
		w.db.away(nil)
		time.Sleep(time.Second)
		synctest.Wait()
		w.wants("billing", "new")
		w.log.says(t, fmt.Sprintf(failedFor, errAway, "4m59s"), again)
	})
}

// Its end does not wait for a database that does not answer.
func TestRunEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		store := hanging{w.db, new(atomic.Bool)}
		w.open(func(cfg *cache.Config) { cfg.Store = store })
		store.hangs.Store(true)
		stop := w.run(nil)
		time.Sleep(time.Minute)
		start := time.Now()
		stop()
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %v", took)
		}
		w.log.says(t)
	})
}

// hanging is a database that says what has changed only to those who do not wait for it any more.
type hanging struct {
	*database
	hangs *atomic.Bool
}

func (h hanging) Touched(ctx context.Context, since int64) (clients.Touched, error) {
	if h.hangs.Load() {
		<-ctx.Done()
	}
	return h.database.Touched(ctx, since)
}

// Many ask while others change clients and look. Nobody gets a state of before a look that had ended when he asked.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	const readers, questions = 4, 3000
	c := &contest{world: newWorld(t), done: make(chan struct{})}
	for id := range c.written {
		c.db.put(named(fmt.Sprint("c", id), "0"))
	}
	c.open(sized(len(c.written) / 2)) // so that they are looked up again and again
	var reading, changing sync.WaitGroup
	changing.Go(c.write)
	changing.Go(func() {
		for !c.over() {
			c.lookAndTell()
		}
	})
	for range readers {
		reading.Go(func() {
			for range questions {
				c.read()
			}
		})
	}
	reading.Wait()
	close(c.done)
	changing.Wait()
	c.lookAndTell()
	for id := range c.written {
		c.wants(fmt.Sprint("c", id), strconv.FormatInt(c.written[id].Load(), 10))
	}
	if n := c.Len(); n > len(c.written)/2 {
		t.Errorf("%d clients are held", n)
	}
}

// contest is between those who change clients, whose names count up, and those who ask for them.
type contest struct {
	*world
	done    chan struct{}
	written [8]atomic.Int64 // the state of each
	seen    [8]atomic.Int64 // that of which a look knew, at least
}

func (c *contest) over() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func (c *contest) write() {
	for i := int64(1); !c.over(); i++ {
		id := rand.N(len(c.written))
		c.db.put(named(fmt.Sprint("c", id), strconv.FormatInt(i, 10)))
		c.written[id].Store(i)
		if i%100 == 0 {
			c.db.change(func() { c.db.all = true })
		}
		runtime.Gosched()
	}
}

func (c *contest) lookAndTell() {
	var before [len(c.written)]int64
	for id := range before {
		before[id] = c.written[id].Load()
	}
	c.look(nil)
	for id := range before {
		c.seen[id].Store(before[id])
	}
}

func (c *contest) read() {
	id := rand.N(len(c.written))
	least := c.seen[id].Load()
	client, err := c.find(fmt.Sprint("c", id))
	if err != nil {
		c.t.Error(err)
		return
	}
	if state, err := strconv.ParseInt(client.Name, 10, 64); err != nil || state < least {
		c.t.Errorf("client c%d in state %q, and a look had seen %d", id, client.Name, least)
	}
}
