package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"example.com/signet/issuer/internal/masterkey"
	"example.com/signet/keys"
)

// ErrMasterKey means that the file does not have the master key that seals the signing keys. Nothing was changed.
var ErrMasterKey = errors.New("wrong master key")

// masters reads the file and sees that it has the master key that seals the keys.
func (r Ring) masters(current string) (*masterkey.Ring, error) {
	masters, err := masterkey.Read(r.MasterKeys)
	if err != nil {
		return nil, err
	}
	if current != "" && masters.Find(current) == nil {
		return nil, keys.WithHint(
			fmt.Errorf("%w: the signing keys are sealed under %.64s, and %s has %s",
				ErrMasterKey, current, r.MasterKeys, strings.Join(masters.IDs(), " and ")),
			"--master-key-file must hold that one; issuer master-key list shows the ids in a file")
	}
	return masters, nil
}

// RotateMaster seals every key under the newest master key of the file, all or none, and returns the ids of the master
// key before and after, which are the same when nothing was to be done. A row that is damaged is a [keys.ErrDamaged] and
// nothing is changed.
func (r Ring) RotateMaster() (before, after string, err error) {
	err = r.change(func(ctx context.Context, c *change, master *masterkey.Key) error {
		before, after = master.ID(), master.ID()
		masters, err := r.masters(before)
		if err != nil {
			return err
		}
		newest := masters.Newest()
		if newest.ID() == before {
			return nil
		}
		after = newest.ID()
		return reseal(ctx, c, master, newest)
	})
	return before, after, err
}

func reseal(ctx context.Context, c *change, from, to *masterkey.Key) error {
	rows, _, err := readKeyRows(ctx, c)
	if err != nil {
		return away("reading the signing keys", err)
	}
	for _, row := range rows {
		key, err := row.open(from)
		if err != nil {
			return fmt.Errorf("sealing %.64q anew: %w: %w", row.kid, keys.ErrDamaged, err)
		}
		if err := updateKey(ctx, c, to, key); err != nil {
			return err
		}
		c.note(KindKey, row.kid, "key.resealed", "")
	}
	c.note(KindMasterKey, to.ID(), "master_key.rotated", "from "+from.ID())
	_, err = c.ExecContext(ctx, "UPDATE signet_master_key SET id = $1", to.ID())
	return away("writing the master key's id", err)
}

// MasterKey returns the id of the master key that seals the signing keys; "" when there are none.
func (s *Store) MasterKey(ctx context.Context) (id string, err error) {
	err = s.rows(ctx, func(scan func(...any) error) error { return scan(&id) }, "SELECT id FROM signet_master_key")
	return id, away("reading the master key's id", err)
}
