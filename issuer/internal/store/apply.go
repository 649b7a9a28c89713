package store

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.com/signet/issuer/internal/clients"
)

// Difference is what applying a registry does to one client or resource.
type Difference struct {
	Kind   Kind     `json:"kind"`
	Object string   `json:"object"` // the client's id or the resource's audience
	Event  string   `json:"event"`  // added, changed or deleted
	Fields []string `json:"fields,omitempty"`
}

// ApplyOptions say how to apply a registry.
type ApplyOptions struct {
	Prune  bool // delete what the registry does not have
	DryRun bool // change nothing
	// Show hears what will be done, in order, before it is. An error of its own changes nothing. Nil: nobody does.
	Show func([]Difference) error
}

// Apply makes the database say what the registry says, in one transaction. Applied again it does nothing. The error wraps
// [ErrInUse] when a client that the registry does not have may ask for what a resource would no longer have, or
// [ErrAway]; nothing is changed then.
func (s *Store) Apply(ctx context.Context, wanted *clients.Registry, options ApplyOptions) error {
	return s.change(ctx, func(ctx context.Context, c *change) error {
		a := &application{change: c, wanted: wanted}
		if err := a.compare(ctx, options.Prune); err != nil {
			return err
		}
		if options.Show != nil {
			if err := options.Show(a.differences()); err != nil {
				return err
			}
		}
		if err := a.act(ctx); err != nil || !options.DryRun {
			return err
		}
		return errUnchanged
	})
}

// application is one registry on its way into the database.
type application struct {
	*change
	wanted *clients.Registry

	resources []Difference // added or changed
	clients   []Difference // added or changed
	gone      []Difference // clients, then resources
}

func (a *application) differences() []Difference {
	return slices.Concat(a.resources, a.clients, a.gone)
}

func (a *application) compare(ctx context.Context, prune bool) error {
	var err error
	if a.resources, err = a.compareResources(ctx); err != nil {
		return err
	}
	for batch := range slices.Chunk(a.wanted.Clients(), changesAtOnce) {
		found, err := a.compareClients(ctx, batch)
		if err != nil {
			return err
		}
		a.clients = append(a.clients, found...)
	}
	if prune {
		return a.findGone(ctx)
	}
	return nil
}

// recorded is a client or a resource.
type recorded interface{ Record() ([]byte, error) }

// difference compares what is wanted with the record that is there, nil for none. No event: they are the same.
func difference(kind Kind, object string, wanted recorded, there []byte) (Difference, error) {
	text, err := wanted.Record()
	d := Difference{Kind: kind, Object: object}
	switch {
	case err != nil || bytes.Equal(text, there):
	case there == nil:
		d.Event = "added"
	default:
		d.Event, d.Fields = "changed", changedFields(there, text)
	}
	return d, err
}

// changedFields names the members in which two records differ.
func changedFields(before, after []byte) []string {
	var was, is map[string]jsontext.Value
	if json.Unmarshal(before, &was) != nil || json.Unmarshal(after, &is) != nil {
		return nil
	}
	fields := make(map[string]bool)
	for name := range was {
		fields[name] = !bytes.Equal(was[name], is[name])
	}
	for name := range is {
		fields[name] = !bytes.Equal(was[name], is[name])
	}
	maps.DeleteFunc(fields, func(_ string, changed bool) bool { return !changed })
	return slices.Sorted(maps.Keys(fields))
}

func (a *application) compareResources(ctx context.Context) (found []Difference, err error) {
	there, err := a.records(ctx, "SELECT audience, record FROM signet_resources")
	if err != nil {
		return nil, err
	}
	wanted := a.wanted.ByAudience()
	for _, audience := range slices.Sorted(maps.Keys(wanted)) {
		d, err := difference(KindResource, audience, wanted[audience], there[audience])
		if err != nil {
			return nil, err
		}
		if d.Event != "" {
			found = append(found, d)
		}
	}
	return found, nil
}

func (a *application) compareClients(ctx context.Context, batch []*clients.Client) (found []Difference, err error) {
	var ids []any
	for _, client := range batch {
		ids = append(ids, client.ID)
	}
	there, err := a.records(ctx, "SELECT id, record FROM signet_clients WHERE id IN "+placeholders(1, len(ids)), ids...)
	if err != nil {
		return nil, err
	}
	for _, client := range batch {
		d, err := difference(KindClient, client.ID, client, there[client.ID])
		if err != nil {
			return nil, err
		}
		if d.Event != "" {
			found = append(found, d)
		}
	}
	return found, nil
}

func (a *application) records(ctx context.Context, query string, args ...any) (map[string][]byte, error) {
	all := make(map[string][]byte)
	err := eachRow(ctx, a, func(scan func(...any) error) error {
		var name string
		var text []byte
		err := scan(&name, &text)
		all[name] = text
		return err
	}, query, args...)
	return all, away("reading the registry", err)
}

// findGone finds what the registry does not have.
func (a *application) findGone(ctx context.Context) error {
	err := eachRow(ctx, a, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		if _, unknown := a.wanted.Client(ctx, id); errors.Is(unknown, clients.ErrUnknownClient) {
			a.gone = append(a.gone, Difference{Kind: KindClient, Object: id, Event: "deleted"})
		}
		return err
	}, "SELECT id FROM signet_clients ORDER BY id")
	if err != nil {
		return away("reading the registry", err)
	}
	err = eachRow(ctx, a, func(scan func(...any) error) error {
		var audience string
		err := scan(&audience)
		if a.wanted.ByAudience()[audience] == nil {
			a.gone = append(a.gone, Difference{Kind: KindResource, Object: audience, Event: "deleted"})
		}
		return err
	}, "SELECT audience FROM signet_resources ORDER BY audience")
	return away("reading the registry", err)
}

// act adds before it deletes, and deletes clients before what they may ask for.
func (a *application) act(ctx context.Context) error {
	if err := a.actOnResources(ctx); err != nil {
		return err
	}
	var all []*clients.Client
	for _, d := range a.clients {
		client, err := a.wanted.Client(ctx, d.Object)
		if err != nil {
			return err
		}
		all = append(all, client)
		a.note(KindClient, d.Object, "client."+d.Event, strings.Join(d.Fields, " "))
	}
	if len(all) > 0 {
		if err := a.putClients(ctx, all...); err != nil {
			return err
		}
	}
	if err := a.removeGone(ctx); err != nil {
		return err
	}
	return a.checkGrants(ctx, a.changedResources())
}

func (a *application) removeGone(ctx context.Context) error {
	var ids []string
	for _, d := range a.gone {
		if d.Kind == KindClient {
			ids = append(ids, d.Object)
		}
	}
	for batch := range slices.Chunk(ids, changesAtOnce) {
		if err := a.deleteClients(ctx, batch...); err != nil {
			return err
		}
	}
	for _, d := range a.gone {
		if d.Kind == KindResource {
			if err := a.deleteResource(ctx, d.Object); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *application) actOnResources(ctx context.Context) error {
	for _, d := range a.resources {
		a.note(KindResource, d.Object, "resource."+d.Event, strings.Join(d.Fields, " "))
		if err := a.putResource(ctx, a.wanted.ByAudience()[d.Object]); err != nil {
			return err
		}
	}
	return nil
}

// changedResources are those that clients which the registry does not have may ask for.
func (a *application) changedResources() (audiences []string) {
	for _, d := range a.resources {
		if d.Event == "changed" {
			audiences = append(audiences, d.Object)
		}
	}
	return audiences
}
