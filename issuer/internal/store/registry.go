package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"example.com/signet/issuer/internal/clients"
)

// Client returns the client named id, enabled or not. The error wraps [clients.ErrUnknownClient], [ErrAway], or
// [clients.ErrRecord] for a row that was changed by hand.
func (s *Store) Client(ctx context.Context, id string) (*clients.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	text, err := recordOf(ctx, s.db, "SELECT record FROM signet_clients WHERE id = $1", id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, clients.ErrUnknownClient
	case err != nil:
		return nil, away("reading a client", err)
	}
	return parseClient(id, text, s.cfg.Now())
}

// parseClient sees that a record is the one of its row.
func parseClient(id string, text []byte, now time.Time) (*clients.Client, error) {
	client, err := clients.ParseClient(text, now)
	if err == nil && client.ID != id {
		err = fmt.Errorf("%w: it is of another client", clients.ErrRecord)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the client %q: %w", id, err)
	}
	return client, nil
}

func recordOf(ctx context.Context, db interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}, query, name string) (text []byte, err error) {
	err = db.QueryRowContext(ctx, query, name).Scan(&text)
	return text, err
}

// EachClient calls each for every client, ordered by id. The error is that of each, or as for [Store.Client].
func (s *Store) EachClient(ctx context.Context, each func(*clients.Client) error) error {
	now := s.cfg.Now()
	var ours error
	err := s.rows(ctx, func(scan func(...any) error) error {
		var id string
		var text []byte
		if err := scan(&id, &text); err != nil {
			return err
		}
		var client *clients.Client
		if client, ours = parseClient(id, text, now); ours == nil {
			ours = each(client)
		}
		return ours
	}, "SELECT id, record FROM signet_clients ORDER BY id")
	if ours != nil {
		return ours
	}
	return away("reading the clients", err)
}

// Clients returns the number of clients.
func (s *Store) Clients(ctx context.Context) (n int, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT count(*) FROM signet_clients").Scan(&n)
	return n, away("counting the clients", err)
}

// Resources returns every resource, by audience. The error wraps [ErrAway], or [clients.ErrRecord] for a row that was
// changed by hand.
func (s *Store) Resources(ctx context.Context) (map[string]*clients.Resource, error) {
	ctx, cancel := context.WithTimeout(ctx, workTimeout)
	defer cancel()
	return readResources(ctx, s.db)
}

func readResources(ctx context.Context, db querier) (map[string]*clients.Resource, error) {
	all := make(map[string]*clients.Resource)
	err := eachRow(ctx, db, func(scan func(...any) error) error {
		var audience string
		var text []byte
		if err := scan(&audience, &text); err != nil {
			return err
		}
		resource, err := parseResource(audience, text)
		all[audience] = resource
		return err
	}, "SELECT audience, record FROM signet_resources ORDER BY audience")
	if err != nil && !errors.Is(err, clients.ErrRecord) {
		return nil, away("reading the resources", err)
	}
	return all, err
}

// parseResource sees that a record is the one of its row.
func parseResource(audience string, text []byte) (*clients.Resource, error) {
	resource, err := clients.ParseResource(text)
	if err == nil && resource.Audience != audience {
		err = fmt.Errorf("%w: it is of another resource", clients.ErrRecord)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the resource %q: %w", audience, err)
	}
	return resource, nil
}

// maxTouched is how many changes are worth naming.
const maxTouched = 1000

// Touched returns what has changed since. It is one query, and none of the changes is missed when the next one begins at
// the revision that it returns. The error wraps [ErrAway].
func (s *Store) Touched(ctx context.Context, since int64) (clients.Touched, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	touched := clients.Touched{}
	rows := 0
	err := s.rows(ctx, func(scan func(...any) error) error {
		var kind, object sql.NullString
		if err := scan(&touched.Revision, &kind, &object); err != nil {
			return err
		}
		rows++
		switch Kind(kind.String) {
		case KindClient:
			touched.Clients = append(touched.Clients, object.String)
		case KindResource:
			touched.Resources = true
		}
		return nil
	}, "SELECT r.n, c.kind, c.object FROM signet_revision r LEFT JOIN signet_changes c ON c.revision > $1 "+
		"AND c.kind IN ('client', 'resource') ORDER BY c.revision, c.item LIMIT $2", since, maxTouched+1)
	touched.All = rows > maxTouched || touched.Revision < since
	return touched, away("looking for changes", err)
}
