package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"example.com/signet/issuer/internal/masterkey"
	"example.com/signet/keys"
)

// keyRow is a signing key as it is kept.
type keyRow struct {
	kid, alg               string
	signsFrom, publishedAt int64
	masterKey              string
	sealed                 []byte
}

const keyColumns = "kid, alg, signs_from, published_at, master_key, sealed"

// columns are where those of keyColumns go.
func (r *keyRow) columns() []any {
	return []any{&r.kid, &r.alg, (*number)(&r.signsFrom), (*number)(&r.publishedAt), &r.masterKey, &r.sealed}
}

// additional is what the seal binds the key to: a row of which any column was changed by hand does not open.
func (r *keyRow) additional() []byte {
	return fmt.Appendf(nil, "signet signing key 1\n%s\n%s\n%d\n%d", r.kid, r.alg, r.signsFrom, r.publishedAt)
}

func sealKey(master *masterkey.Key, k keys.RingKey) (keyRow, error) {
	text, err := k.Key.MarshalPEM()
	if err != nil {
		return keyRow{}, err
	}
	row := keyRow{
		kid: k.Key.ID(), alg: string(k.Key.Algorithm()),
		signsFrom: k.SignsFrom.Unix(), publishedAt: k.PublishedAt.Unix(),
		masterKey: master.ID(),
	}
	row.sealed = master.Seal(text, row.additional())
	return row, nil
}

func (r *keyRow) open(master *masterkey.Key) (keys.RingKey, error) {
	if master == nil || r.masterKey != master.ID() {
		return keys.RingKey{}, masterkey.ErrSeal
	}
	text, err := master.Open(r.sealed, r.additional())
	if err != nil {
		return keys.RingKey{}, err
	}
	key, err := keys.ParsePrivateKey(text)
	if err != nil {
		return keys.RingKey{}, err
	}
	if key.ID() != r.kid || string(key.Algorithm()) != r.alg {
		return keys.RingKey{}, masterkey.ErrSeal
	}
	return keys.RingKey{Key: key, SignsFrom: time.Unix(r.signsFrom, 0), PublishedAt: time.Unix(r.publishedAt, 0)}, nil
}

// number is a column that should be one. SQLite keeps whatever is written there by hand, and a value that is no number is as
// good as a wrong one: the seal tells.
type number int64

func (n *number) Scan(value any) error {
	*n = math.MinInt64
	if given, ok := value.(int64); ok {
		*n = number(given)
	}
	return nil
}

// readKeyRows returns the keys and the id of the master key that seals them, "" when there are no keys. It is one statement:
// between two, another issuer might seal all keys anew, and they would seem damaged.
func readKeyRows(ctx context.Context, db querier) (rows []keyRow, current string, err error) {
	err = eachRow(ctx, db, func(scan func(...any) error) error {
		var row keyRow
		err := scan(append(row.columns(), &current)...)
		rows = append(rows, row)
		return err
	}, "SELECT "+keyColumns+", coalesce((SELECT id FROM signet_master_key), '') "+
		"FROM signet_keys ORDER BY signs_from, alg")
	return rows, current, err
}

func findKeyRow(ctx context.Context, c *change, kid string) (row keyRow, err error) {
	err = c.QueryRowContext(ctx, "SELECT "+keyColumns+" FROM signet_keys WHERE kid = $1", kid).
		Scan(row.columns()...)
	if errors.Is(err, sql.ErrNoRows) {
		return row, fmt.Errorf("%w: %.64q", keys.ErrUnknownKID, kid)
	}
	return row, away("reading a signing key", err)
}
