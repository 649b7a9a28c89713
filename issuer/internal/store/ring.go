package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"example.com/signet/issuer/internal/masterkey"
	"example.com/signet/keys"
)

// Ring is the signing keys in the database, sealed under a master key that is in a file. It does for rows what
// [keys.Directory] does for files, and is safe for concurrent use.
type Ring struct {
	Store      *Store
	MasterKeys string // the file, read again at each use
}

// String says where the keys are.
func (r Ring) String() string { return "the database (" + r.Store.String() + ")" }

// Make does nothing: the tables are there.
func (r Ring) Make() error { return nil }

// Writable returns nil. A database that cannot be written is trouble and not an operator's choice.
func (r Ring) Writable() error { return nil }

// State changes whenever a key is added, moved or removed through Signet, or the master keys are others.
func (r Ring) State() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), opTimeout)
	defer cancel()
	revision, err := r.Store.revisionOf(ctx, KindKey)
	if err != nil {
		return "", away("reading the signing keys", err)
	}
	masters, err := masterkey.Read(r.MasterKeys)
	if err != nil {
		return "", err
	}
	return strconv.FormatInt(revision, 10) + " " + strings.Join(masters.IDs(), " "), nil
}

// Lock waits until nobody else changes the keys and returns what ends that.
func (r Ring) Lock() (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(context.Background(), changeTimeout)
	defer cancel()
	return r.Store.lock(ctx, r.Store.db, "keys")
}

// Read reads the ring. No row is a [keys.ErrNoKeys]. Rows that their seal refuses are left out and named by a
// [*keys.DamagedError], which comes with the ring of the others; when all are, there is no ring. With a master key missing
// the error wraps [ErrMasterKey], and there is none either.
func (r Ring) Read() (*keys.Ring, error) {
	ctx, cancel := context.WithTimeout(context.Background(), opTimeout)
	defer cancel()
	rows, current, err := readKeyRows(ctx, r.Store.db)
	if err != nil {
		return nil, away("reading the signing keys", err)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%w in %v", keys.ErrNoKeys, r)
	}
	masters, err := r.masters(current)
	if err != nil {
		return nil, err
	}
	return openAll(rows, masters.Find(current))
}

func openAll(rows []keyRow, master *masterkey.Key) (*keys.Ring, error) {
	var opened []keys.RingKey
	var kids []string
	var algs []keys.Algorithm
	var causes []error
	for _, row := range rows {
		key, err := row.open(master)
		if err != nil {
			alg, _ := keys.ParseAlgorithm(row.alg) // "" for one that is none
			kids, algs = append(kids, row.kid), append(algs, alg)
			causes = append(causes, fmt.Errorf("row %.64q of signet_keys: %w", row.kid, err))
			continue
		}
		opened = append(opened, key)
	}
	var damaged error
	if len(kids) > 0 {
		damaged = &keys.DamagedError{KeyIDs: kids, Algorithms: algs, Cause: errors.Join(causes...)}
	}
	ring, err := keys.NewRing(opened...)
	if err != nil {
		return nil, errors.Join(damaged, err)
	}
	return ring, damaged
}

// change lets do change the rows under the master key that seals them, which is the newest of the file when there are
// none.
func (r Ring) change(do func(context.Context, *change, *masterkey.Key) error) error {
	return r.Store.change(context.Background(), func(ctx context.Context, c *change) error {
		var current string
		err := eachRow(ctx, c, func(scan func(...any) error) error { return scan(&current) }, "SELECT id FROM signet_master_key")
		if err != nil {
			return away("reading the master key's id", err)
		}
		masters, err := r.masters(current)
		if err != nil {
			return err
		}
		master := masters.Find(current)
		if master == nil {
			master = masters.Newest()
			if _, err := c.ExecContext(ctx, "INSERT INTO signet_master_key (id) VALUES ($1)", master.ID()); err != nil {
				return away("writing the master key's id", err)
			}
			c.note(KindMasterKey, master.ID(), "master_key.chosen", "")
		}
		return do(ctx, c, master)
	})
}

// Add keeps a key. The same key, or one that signs from that second, is a [keys.ErrTaken].
func (r Ring) Add(k keys.RingKey) error { return r.AddAll(k) }

// AddAll keeps keys, all or none; the errors are those of Add.
func (r Ring) AddAll(all ...keys.RingKey) error {
	return r.change(func(ctx context.Context, c *change, master *masterkey.Key) error {
		for _, k := range all {
			if k.PublishedAt.IsZero() {
				k.PublishedAt = r.Store.cfg.Now()
			}
			if err := insertKey(ctx, c, master, k); err != nil {
				return err
			}
		}
		return nil
	})
}

func insertKey(ctx context.Context, c *change, master *masterkey.Key, k keys.RingKey) error {
	row, err := sealKey(master, k)
	if err != nil {
		return err
	}
	result, err := c.ExecContext(ctx, "INSERT INTO signet_keys (kid, alg, signs_from, published_at, master_key, sealed) "+
		"VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
		row.kid, row.alg, row.signsFrom, row.publishedAt, row.masterKey, row.sealed)
	if err != nil {
		return away("adding a signing key", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(fmt.Errorf("%w: %s", keys.ErrTaken, keys.FileName(k.Key.Algorithm(), k.SignsFrom)), err)
	}
	c.note(KindKey, row.kid, "key.added", keys.FileName(k.Key.Algorithm(), k.SignsFrom))
	return nil
}

// Move makes the key named kid sign from another second. A key that signs from that second already is a
// [keys.ErrTaken].
func (r Ring) Move(kid string, signsFrom time.Time) error {
	return r.change(func(ctx context.Context, c *change, master *masterkey.Key) error {
		row, err := findKeyRow(ctx, c, kid)
		if err != nil {
			return err
		}
		key, err := row.open(master)
		if err != nil {
			return fmt.Errorf("moving %s: %w: %w", kid, keys.ErrDamaged, err)
		}
		if key.SignsFrom.Equal(signsFrom.Truncate(time.Second)) {
			return errUnchanged
		}
		var taken bool
		const query = "SELECT count(*) > 0 FROM signet_keys WHERE alg = $1 AND signs_from = $2"
		err = c.QueryRowContext(ctx, query, row.alg, signsFrom.Unix()).Scan(&taken)
		switch {
		case err != nil:
			return away("moving a signing key", err)
		case taken:
			return fmt.Errorf("%w: %s", keys.ErrTaken, keys.FileName(key.Key.Algorithm(), signsFrom))
		}
		key.SignsFrom = signsFrom
		c.note(KindKey, kid, "key.moved", keys.FileName(key.Key.Algorithm(), signsFrom))
		return updateKey(ctx, c, master, key)
	})
}

func updateKey(ctx context.Context, c *change, master *masterkey.Key, k keys.RingKey) error {
	row, err := sealKey(master, k)
	if err != nil {
		return err
	}
	_, err = c.ExecContext(ctx, "UPDATE signet_keys SET signs_from = $2, master_key = $3, sealed = $4 WHERE kid = $1",
		row.kid, row.signsFrom, row.masterKey, row.sealed)
	return away("changing a signing key", err)
}

// Remove deletes the key named kid, damaged or not. One that is not there is a [keys.ErrUnknownKID].
func (r Ring) Remove(kid string) error {
	return r.Store.change(context.Background(), func(ctx context.Context, c *change) error {
		result, err := c.ExecContext(ctx, "DELETE FROM signet_keys WHERE kid = $1", kid)
		if err != nil {
			return away("removing a signing key", err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(fmt.Errorf("%w: %.64q", keys.ErrUnknownKID, kid), err)
		}
		c.note(KindKey, kid, "key.removed", "")
		return nil
	})
}
