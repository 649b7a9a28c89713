package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/signet/issuer/internal/clients"
)

// Why a change of the registry is refused. Nothing was changed.
var (
	ErrExists = errors.New("there is one already")
	ErrInUse  = errors.New("clients may ask for it")
)

// AddClient adds a client. The error wraps [ErrExists], [clients.ErrRecord] when it may ask for what is not there, or
// [ErrAway].
func (s *Store) AddClient(ctx context.Context, client *clients.Client) error {
	return s.change(ctx, func(ctx context.Context, c *change) error {
		_, err := c.client(ctx, client.ID)
		if err == nil {
			return fmt.Errorf("%w: client %q", ErrExists, client.ID)
		}
		if !errors.Is(err, clients.ErrUnknownClient) {
			return err
		}
		c.note(KindClient, client.ID, "client.added", "")
		return c.putClients(ctx, client)
	})
}

// ChangeClient lets do change a copy of a client and keeps that; event is the audit trail's name for it. The error is
// that of do, or wraps [clients.ErrUnknownClient], [clients.ErrRecord] or [ErrAway].
func (s *Store) ChangeClient(ctx context.Context, id, event string, do func(*clients.Client) (detail string, err error)) error {
	return s.change(ctx, func(ctx context.Context, c *change) error {
		client, err := c.client(ctx, id)
		if err != nil {
			return err
		}
		before, err := client.Record()
		if err != nil {
			return err
		}
		detail, err := do(client)
		if err != nil {
			return err
		}
		if after, err := client.Record(); err != nil || string(after) == string(before) {
			return err
		}
		c.note(KindClient, id, event, detail)
		return c.putClients(ctx, client)
	})
}

// DeleteClient deletes a client, and what is known of its secrets. The error wraps [clients.ErrUnknownClient] or
// [ErrAway].
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	return s.change(ctx, func(ctx context.Context, c *change) error { return c.deleteClients(ctx, id) })
}

// AddResource adds a resource. The error wraps [ErrExists] or [ErrAway].
func (s *Store) AddResource(ctx context.Context, resource *clients.Resource) error {
	return s.change(ctx, func(ctx context.Context, c *change) error {
		_, err := c.resource(ctx, resource.Audience)
		if err == nil {
			return fmt.Errorf("%w: resource %q", ErrExists, resource.Audience)
		}
		if !errors.Is(err, clients.ErrUnknownResource) {
			return err
		}
		c.note(KindResource, resource.Audience, "resource.added", "")
		return c.putResource(ctx, resource)
	})
}

// ChangeResource lets do change a copy of a resource and keeps that. The error is that of do, or wraps
// [clients.ErrUnknownResource], [ErrInUse] when a client may ask for what it would no longer have, or [ErrAway].
func (s *Store) ChangeResource(ctx context.Context, audience, event string, do func(*clients.Resource) error) error {
	return s.change(ctx, func(ctx context.Context, c *change) error {
		resource, err := c.resource(ctx, audience)
		if err != nil {
			return err
		}
		before := *resource
		if err := do(resource); err != nil {
			return err
		}
		if same, err := sameResource(&before, resource); err != nil || same {
			return err
		}
		c.note(KindResource, audience, event, "")
		if err := c.putResource(ctx, resource); err != nil {
			return err
		}
		return c.checkGrants(ctx, []string{audience})
	})
}

func sameResource(a, b *clients.Resource) (bool, error) {
	before, err := a.Record()
	if err != nil {
		return false, err
	}
	after, err := b.Record()
	return string(before) == string(after), err
}

// DeleteResource deletes a resource. The error wraps [clients.ErrUnknownResource], [ErrInUse] or [ErrAway].
func (s *Store) DeleteResource(ctx context.Context, audience string) error {
	return s.change(ctx, func(ctx context.Context, c *change) error { return c.deleteResource(ctx, audience) })
}

func (c *change) client(ctx context.Context, id string) (*clients.Client, error) {
	text, err := recordOf(ctx, c, "SELECT record FROM signet_clients WHERE id = $1", id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, fmt.Errorf("%w %q", clients.ErrUnknownClient, id)
	case err != nil:
		return nil, away("reading a client", err)
	}
	return parseClient(id, text, c.store.cfg.Now())
}

func (c *change) resource(ctx context.Context, audience string) (*clients.Resource, error) {
	text, err := recordOf(ctx, c, "SELECT record FROM signet_resources WHERE audience = $1", audience)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, fmt.Errorf("%w %q", clients.ErrUnknownResource, audience)
	case err != nil:
		return nil, away("reading a resource", err)
	}
	return parseResource(audience, text)
}

// putClients writes clients, new or not, after checking them against the resources as they are in this transaction.
func (c *change) putClients(ctx context.Context, all ...*clients.Client) error {
	resources, err := readResources(ctx, c)
	if err != nil {
		return err
	}
	now := c.store.cfg.Now()
	for batch := range slices.Chunk(all, changesAtOnce) {
		if err := c.putBatch(ctx, batch, resources, now); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) putBatch(ctx context.Context, batch []*clients.Client, resources map[string]*clients.Resource,
	now time.Time) error {
	var records, ids, grants []any
	for _, client := range batch {
		text, err := client.Record()
		if err != nil {
			return err
		}
		checked, err := clients.CheckClient(text, resources, now)
		if err != nil {
			return fmt.Errorf("writing the client %q: %w", client.ID, err)
		}
		if text, err = checked.Record(); err != nil { // with what the rules add, so that there is one spelling
			return err
		}
		records = append(records, client.ID, string(text))
		ids = append(ids, client.ID)
		for _, grant := range client.Grants {
			grants = append(grants, client.ID, grant.Audience)
		}
	}
	if _, err := c.ExecContext(ctx, "INSERT INTO signet_clients (id, record) VALUES "+placeholders(len(batch), 2)+
		" ON CONFLICT (id) DO UPDATE SET record = excluded.record", records...); err != nil {
		return away("writing clients", err)
	}
	if _, err := c.ExecContext(ctx, "DELETE FROM signet_grants WHERE client IN "+placeholders(1, len(ids)), ids...); err != nil {
		return away("writing clients", err)
	}
	for part := range slices.Chunk(grants, 2*changesAtOnce) {
		rows := placeholders(len(part)/2, 2)
		if _, err := c.ExecContext(ctx, "INSERT INTO signet_grants (client, audience) VALUES "+rows, part...); err != nil {
			return away("writing clients", err)
		}
	}
	return nil
}

func (c *change) putResource(ctx context.Context, resource *clients.Resource) error {
	text, err := resource.Record()
	if err != nil {
		return err
	}
	if _, err := clients.ParseResource(text); err != nil {
		return fmt.Errorf("writing the resource %q: %w", resource.Audience, err)
	}
	_, err = c.ExecContext(ctx, "INSERT INTO signet_resources (audience, record) VALUES ($1, $2) "+
		"ON CONFLICT (audience) DO UPDATE SET record = excluded.record", resource.Audience, string(text))
	return away("writing a resource", err)
}

// checkGrants sees that every client that may ask for one of the resources may still ask for what it has been allowed.
func (c *change) checkGrants(ctx context.Context, audiences []string) error {
	resources, err := readResources(ctx, c)
	if err != nil {
		return err
	}
	now := c.store.cfg.Now()
	for _, audience := range audiences {
		var broken error
		err := eachRow(ctx, c, func(scan func(...any) error) error {
			var id string
			var text []byte
			if err := scan(&id, &text); err != nil {
				return err
			}
			if _, err := clients.CheckClient(text, resources, now); err != nil {
				broken = fmt.Errorf("client %q: %w", id, err)
			}
			return broken
		}, "SELECT c.id, c.record FROM signet_grants g JOIN signet_clients c ON c.id = g.client WHERE g.audience = $1", audience)
		if broken != nil {
			return fmt.Errorf("changing the resource %q: %w: %w", audience, ErrInUse, broken)
		}
		if err != nil {
			return away("reading clients", err)
		}
	}
	return nil
}

// deleteClients deletes clients, all of which have to be there.
func (c *change) deleteClients(ctx context.Context, ids ...string) error {
	var all []any
	for _, id := range ids {
		all = append(all, id)
		c.note(KindClient, id, "client.deleted", "")
	}
	these := placeholders(1, len(all))
	result, err := c.ExecContext(ctx, "DELETE FROM signet_clients WHERE id IN "+these, all...)
	if err == nil {
		var n int64
		if n, err = result.RowsAffected(); err == nil && int(n) < len(ids) {
			return fmt.Errorf("%w %q", clients.ErrUnknownClient, strings.Join(ids, " "))
		}
	}
	if err == nil {
		_, err = c.ExecContext(ctx, "DELETE FROM signet_secret_uses WHERE client IN "+these, all...)
	}
	return away("deleting clients", err)
}

func (c *change) deleteResource(ctx context.Context, audience string) error {
	var users []string
	err := eachRow(ctx, c, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		users = append(users, id)
		return err
	}, "SELECT client FROM signet_grants WHERE audience = $1 ORDER BY client LIMIT 3", audience)
	switch {
	case err != nil:
		return away("deleting a resource", err)
	case len(users) > 0:
		return fmt.Errorf("deleting the resource %q: %w: %s", audience, ErrInUse, strings.Join(users, ", "))
	}
	result, err := c.ExecContext(ctx, "DELETE FROM signet_resources WHERE audience = $1", audience)
	if err != nil {
		return away("deleting a resource", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(fmt.Errorf("%w %q", clients.ErrUnknownResource, audience), err)
	}
	c.note(KindResource, audience, "resource.deleted", "")
	return nil
}
