package store

import (
	"context"
	"time"
)

const (
	sweepEvery  = 10 * time.Second
	sweepAtOnce = 500
	// spentKept is how long an assertion id is kept after it has expired: issuers whose clocks are that far apart still
	// know it.
	spentKept = 10 * time.Minute
)

// Sweeper removes what has expired, in small batches. Of all issuers the one that comes first does it.
type Sweeper struct{ Store *Store }

// Run removes what has expired every ten seconds until ctx ends.
func (w Sweeper) Run(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_, _ = w.Sweep(ctx) // what is not removed now is removed later
		}
	}
}

// Sweep removes what has expired, unless another issuer has done so a moment ago, and returns how many rows it removed.
// The error wraps [ErrAway].
func (w Sweeper) Sweep(ctx context.Context) (removed int64, err error) {
	now := w.Store.cfg.Now()
	mine, err := w.lease(ctx, now)
	if err != nil || !mine {
		return 0, err
	}
	// The bound is asked for twice: a row that another issuer renews while the batch is chosen is looked at again, by the
	// outer condition alone.
	for _, expired := range []struct {
		query string
		until time.Time
	}{
		{"DELETE FROM signet_spent WHERE expires_at < $1 AND id IN " +
			"(SELECT id FROM signet_spent WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)",
			now.Add(-spentKept)},
		{"DELETE FROM signet_secret_uses WHERE used_at < $1 AND (client, secret) IN " +
			"(SELECT client, secret FROM signet_secret_uses WHERE used_at < $1 LIMIT $2)",
			now.Add(-usesKept)},
	} {
		n, err := w.removeAll(ctx, expired.query, expired.until)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// lease reports whether this issuer is the one that sweeps now. Half of the pause is spared so that clocks and timers
// that are a little off do not skip a turn.
func (w Sweeper) lease(ctx context.Context, now time.Time) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, workTimeout)
	defer cancel()
	result, err := w.Store.db.ExecContext(ctx,
		"UPDATE signet_leases SET until = $1 WHERE name = 'sweep' AND (until <= $2 OR until > $3)",
		now.Add(sweepEvery/2).Unix(), now.Unix(), now.Add(sweepEvery).Unix()) // the last: by a clock that was ahead
	if err != nil {
		return false, away("sweeping", err)
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

func (w Sweeper) removeAll(ctx context.Context, query string, until time.Time) (removed int64, err error) {
	for {
		n, err := w.remove(ctx, query, until)
		removed += n
		if err != nil || n < sweepAtOnce {
			return removed, away("sweeping", err)
		}
	}
}

func (w Sweeper) remove(ctx context.Context, query string, until time.Time) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, workTimeout)
	defer cancel()
	result, err := w.Store.db.ExecContext(ctx, query, until.Unix(), sweepAtOnce)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
