package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/user"
	"time"
)

// Kind is what a change was of.
type Kind string

// The kinds.
const (
	KindClient    Kind = "client"
	KindResource  Kind = "resource"
	KindKey       Kind = "key"
	KindMasterKey Kind = "master_key"
)

// Change is one line of the audit trail.
type Change struct {
	Revision int64     `json:"revision"`
	At       time.Time `json:"at"`
	Actor    string    `json:"actor"` // who made it
	Kind     Kind      `json:"kind"`
	Object   string    `json:"object"` // the client's id, the resource's audience, the key's kid, the master key's id
	Event    string    `json:"event"`
	Detail   string    `json:"detail,omitempty"`
}

// change is a transaction that changes something. All of them take turns: each begins by taking the next revision.
type change struct {
	*sql.Tx
	store    *Store
	revision int64
	items    []Change
}

// note tells the audit trail of a change.
func (c *change) note(kind Kind, object, event, detail string) {
	c.items = append(c.items, Change{Kind: kind, Object: object, Event: event, Detail: detail})
}

// errUnchanged ends a change that turns out to be none.
var errUnchanged = errors.New("nothing to change")

// change runs do in a transaction, and commits when it has noted something. What do returns comes back as it is.
func (s *Store) change(ctx context.Context, do func(context.Context, *change) error) error {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return away("changing the database", err)
	}
	defer tx.Rollback() //nolint:errcheck // after the commit it does nothing
	c := &change{Tx: tx, store: s}
	row := tx.QueryRowContext(ctx, "UPDATE signet_revision SET n = n + 1 RETURNING n")
	if err := row.Scan(&c.revision); err != nil {
		return away("changing the database", err)
	}
	if err := do(ctx, c); err != nil || len(c.items) == 0 {
		if errors.Is(err, errUnchanged) {
			err = nil
		}
		return err
	}
	if err := c.write(ctx); err != nil {
		return away("changing the database", err)
	}
	return away("changing the database", tx.Commit())
}

// changesAtOnce is how many rows one statement writes. A database bounds its parameters, and SQLite looks each up among all.
const changesAtOnce = 100

// write tells the audit trail and the other issuers.
func (c *change) write(ctx context.Context) error {
	now := c.store.cfg.Now().Unix()
	for first := 0; first < len(c.items); first += changesAtOnce {
		items := c.items[first:min(first+changesAtOnce, len(c.items))]
		var args []any
		for i, item := range items {
			args = append(args, c.revision, first+i, now, c.store.cfg.Actor, string(item.Kind), item.Object, item.Event, item.Detail)
		}
		if _, err := c.ExecContext(ctx, "INSERT INTO signet_changes (revision, item, at, actor, kind, object, event, detail) VALUES "+
			placeholders(len(items), 8), args...); err != nil {
			return err
		}
	}
	return c.store.announce(ctx, c.Tx)
}

// Changes calls each for every change since then, oldest first, and for all of them when since is zero. The error is that
// of each, or wraps [ErrAway].
func (s *Store) Changes(ctx context.Context, since time.Time, each func(Change) error) error {
	from := int64(0)
	if !since.IsZero() {
		from = since.Unix()
	}
	var ours error
	err := s.rows(ctx, func(scan func(...any) error) error {
		var c Change
		var at int64
		if err := scan(&c.Revision, &at, &c.Actor, &c.Kind, &c.Object, &c.Event, &c.Detail); err != nil {
			return err
		}
		c.At = time.Unix(at, 0).UTC()
		ours = each(c)
		return ours
	}, "SELECT revision, at, actor, kind, object, event, detail FROM signet_changes WHERE at >= $1 ORDER BY revision, item", from)
	if ours != nil {
		return ours
	}
	return away("reading the audit trail", err)
}

// revisionOf returns the revision of the last change of a kind; zero: there was none.
func (s *Store) revisionOf(ctx context.Context, kind Kind) (revision int64, err error) {
	const query = "SELECT coalesce(max(revision), 0) FROM signet_changes WHERE kind = $1"
	err = s.db.QueryRowContext(ctx, query, string(kind)).Scan(&revision)
	return revision, err
}

// DefaultActor names the user who runs this program, and the machine.
func DefaultActor() string {
	name := "uid " + fmt.Sprint(os.Getuid())
	if who, err := user.Current(); err == nil {
		name = who.Username
	}
	if by := os.Getenv("SUDO_USER"); by != "" {
		name += " (for " + by + ")"
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}
