package cache

import (
	"context"
	"time"

	"example.com/signet/issuer/internal/clients"
)

// Run looks for changes until ctx ends: every Poll, and whenever wake says so.
func (c *Cache) Run(ctx context.Context, wake <-chan struct{}) {
	ticker := time.NewTicker(c.cfg.Poll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-wake:
		}
		_ = c.Look(ctx)
	}
}

// Look drops what has changed, and takes changed resources over if they fit. It returns why what is served is not what
// the database says, which Trouble returns too.
func (c *Cache) Look(ctx context.Context) error {
	c.following.Lock()
	defer c.following.Unlock()
	err := c.follow(ctx)
	if was := c.Trouble(); err != nil && ctx.Err() == nil && (was == nil || was.Error() != err.Error()) {
		c.cfg.Log.Error("following the registry failed; serving what is known of it",
			"cause", err, "for_at_most", max(c.cfg.MaxStale-c.Age(), 0).Truncate(time.Second).String())
	} else if err == nil && was != nil {
		c.cfg.Log.Info("following the registry again")
	}
	if err == nil {
		c.trouble.Store(nil)
	} else {
		c.trouble.Store(&err)
	}
	return err
}

func (c *Cache) follow(ctx context.Context) error {
	now := c.cfg.Now() // of before the question: what the answer leaves out happened later
	touched, err := c.cfg.Store.Touched(ctx, c.revision)
	if err != nil {
		c.lost = true
		return err
	}
	touched.All = touched.All || c.lost // it may be back as it was before, and have gone on since
	c.lost = false
	c.drop(touched)
	c.pending = c.pending || touched.Resources || touched.All
	c.revision = touched.Revision
	c.confirmed.Store(&now)
	if !c.pending {
		return nil
	}
	// What does not fit today may fit when a key has been added, so it is tried again at each look.
	if err := c.takeResources(ctx); err != nil {
		return err
	}
	c.pending = false
	return nil
}

func (c *Cache) drop(touched clients.Touched) {
	if !touched.All && len(touched.Clients) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	if touched.All {
		c.held.Purge()
		c.unknown.Purge()
		return
	}
	for _, id := range touched.Clients {
		c.held.Remove(id)
		c.unknown.Remove(id)
	}
}

func (c *Cache) takeResources(ctx context.Context) error {
	all, err := c.cfg.Store.Resources(ctx)
	if err != nil {
		return err
	}
	resources := clients.NewResources(all)
	if err := c.cfg.Check(resources); err != nil {
		return err
	}
	c.resources.Store(resources)
	c.taken.Store(c.cfg.Now().UnixNano())
	return nil
}
