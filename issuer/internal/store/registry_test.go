package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/store"
)

var errOurs = errors.New("the caller's own")

// seed adds two resources and a client of the first, "billing".
func (db *database) seed(s *store.Store) {
	db.t.Helper()
	ctx := db.t.Context()
	must(db.t, s.AddResource(ctx, newResource(orders, "read", "write")))
	must(db.t, s.AddResource(ctx, newResource(invoices)))
	must(db.t, s.AddClient(ctx, newClient("billing", orders, "read")))
}

// Whatever a record says is there again, for another store too, and after a restart.
func TestRoundTrip(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		ctx, s := t.Context(), db.open()
		resources := []*clients.Resource{newResource(invoices), newResource(orders, "read", "write"), richResource()}
		for _, resource := range resources {
			must(t, s.AddResource(ctx, resource))
		}
		all := richClients(db.clock.Now())
		for _, client := range all {
			must(t, s.AddClient(ctx, client))
		}
		must(t, s.Close())
		s = db.open(unmigrated)
		for _, client := range all {
			found, err := s.Client(ctx, client.ID)
			must(t, err)
			if diff := cmp.Diff(recordOf(t, client), recordOf(t, found)); diff != "" {
				t.Errorf("client %s, - written + read:\n%s", client.ID, diff)
			}
		}
		found, err := s.Resources(ctx)
		must(t, err)
		for _, resource := range resources {
			if diff := cmp.Diff(resource, found[resource.Audience]); diff != "" {
				t.Errorf("resource %s, - written + read:\n%s", resource.Audience, diff)
			}
		}
		wantClients(t, s, "0.a_b~c@d/e-f", "NULL", "publisher")
	})
}

// wantClients sees that there are these and no others, in this order.
func wantClients(t *testing.T, s *store.Store, want ...string) {
	t.Helper()
	var got []string
	must(t, s.EachClient(t.Context(), func(client *clients.Client) error {
		got = append(got, client.ID)
		return nil
	}))
	n, err := s.Clients(t.Context())
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" || n != len(want) {
		t.Errorf("%d clients, - want + got:\n%s", n, diff)
	}
}

// What is refused leaves everything as it was.
func TestRefusedChanges(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		db.seed(s)
		before := db.dump()
		for _, tt := range refusedChanges(s) {
			err := tt.do(t.Context())
			wantErr(t, err, tt.want, tt.words...)
			if diff := cmp.Diff(before, db.dump()); diff != "" {
				t.Errorf("%s: the database has changed:\n%s", tt.name, diff)
			}
		}
	})
}

type refusedChange struct {
	name  string
	do    func(context.Context) error
	want  error
	words []string
}

func refusedChanges(s *store.Store) []refusedChange {
	changeClient := func(id string, do func(*clients.Client) error) func(context.Context) error {
		return func(ctx context.Context) error {
			return s.ChangeClient(ctx, id, "client.changed", func(c *clients.Client) (string, error) { return "", do(c) })
		}
	}
	changeResource := func(audience string, do func(*clients.Resource) error) func(context.Context) error {
		return func(ctx context.Context) error { return s.ChangeResource(ctx, audience, "resource.changed", do) }
	}
	add := func(client *clients.Client) func(context.Context) error {
		return func(ctx context.Context) error { return s.AddClient(ctx, client) }
	}
	addResource := func(resource *clients.Resource) func(context.Context) error {
		return func(ctx context.Context) error { return s.AddResource(ctx, resource) }
	}
	nothing := newClient("new", orders)
	nothing.Grants, nothing.Default = nil, ""
	stranger := newClient("new", orders)
	stranger.ID = "new\nline"
	bare := newClient("new", orders)
	bare.Secrets = nil
	odd := newResource("https://new.example.com")
	odd.Lifetime = time.Hour + time.Second
	return []refusedChange{
		{"a client twice", add(newClient("billing", invoices)), store.ErrExists, []string{`client "billing"`}},
		{"a client of no resource", add(newClient("new", "https://nowhere.example.com")), clients.ErrRecord,
			[]string{`writing the client "new"`, "https://nowhere.example.com"}},
		{"a client of no scope", add(newClient("new", orders, "admin")), clients.ErrRecord, []string{"admin"}},
		{"a client without grants", add(nothing), clients.ErrRecord, []string{"may ask for nothing"}},
		{"a client without credentials", add(bare), clients.ErrRecord, []string{"no credentials"}},
		{"a client that is two lines", add(stranger), clients.ErrRecord, []string{"no client id"}},
		{"an unknown client", changeClient("nobody", func(*clients.Client) error { return nil }), clients.ErrUnknownClient,
			[]string{`"nobody"`}},
		{"a client, changed by one who fails", changeClient("billing", func(c *clients.Client) error {
			c.Name = "other"
			return errOurs
		}), errOurs, nil},
		{"a client that would ask for more", changeClient("billing", func(c *clients.Client) error {
			c.Grants[0].Scopes = clients.Scope{"read", "admin"}
			return nil
		}), clients.ErrRecord, []string{"admin"}},
		{"no client to delete", func(ctx context.Context) error { return s.DeleteClient(ctx, "nobody") }, clients.ErrUnknownClient,
			[]string{`"nobody"`}},
		{"a resource twice", addResource(newResource(orders)), store.ErrExists, []string{orders}},
		{"a resource that is no URI", addResource(newResource("orders")), clients.ErrRecord, []string{"orders"}},
		{"a resource that lives too long", addResource(odd), clients.ErrRecord, []string{"1h0m1s"}},
		{"an unknown resource", changeResource("https://nowhere.example.com", func(*clients.Resource) error { return nil }),
			clients.ErrUnknownResource, []string{"https://nowhere.example.com"}},
		{"a resource, changed by one who fails", changeResource(orders, func(r *clients.Resource) error {
			r.Enabled = false
			return errOurs
		}), errOurs, nil},
		{"a scope that a client may ask for", changeResource(orders, func(r *clients.Resource) error {
			r.Scopes = clients.Scope{"write"}
			return nil
		}), store.ErrInUse, []string{orders, "read"}},
		{"a resource that a client may ask for", func(ctx context.Context) error { return s.DeleteResource(ctx, orders) },
			store.ErrInUse, []string{orders, "billing"}},
		{"no resource to delete", func(ctx context.Context) error { return s.DeleteResource(ctx, "https://nowhere.example.com") },
			clients.ErrUnknownResource, []string{"https://nowhere.example.com"}},
	}
}

// A change that changes nothing is none: it has no revision and no line in the audit trail.
func TestUnchanged(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		ctx, s := t.Context(), db.open()
		db.seed(s)
		before := db.dump()
		must(t, s.ChangeClient(ctx, "billing", "client.enabled", func(c *clients.Client) (string, error) {
			c.Enabled = true
			return "again", nil
		}))
		must(t, s.ChangeResource(ctx, orders, "resource.enabled", func(r *clients.Resource) error {
			r.Enabled = true
			return nil
		}))
		db.wantUnchanged(before)
	})
}

// A grant is gone with its client and with what it was, so that a resource can go when nobody may ask for it.
func TestGrantsEnd(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		ctx, s := t.Context(), db.open()
		db.seed(s)
		must(t, s.ChangeClient(ctx, "billing", "client.changed", func(c *clients.Client) (string, error) {
			c.Grants, c.Default = []clients.Grant{{Audience: invoices}}, invoices
			return "", nil
		}))
		must(t, s.DeleteResource(ctx, orders))
		wantErr(t, s.DeleteResource(ctx, invoices), store.ErrInUse)
		must(t, s.DeleteClient(ctx, "billing"))
		must(t, s.DeleteResource(ctx, invoices))
		wantClients(t, s)
		if _, err := s.Client(ctx, "billing"); !errors.Is(err, clients.ErrUnknownClient) {
			t.Errorf("a deleted client: %v", err)
		}
	})
}

// Who listens to all clients may stop; the error is his own, and no fault of the database.
func TestEachClientStopped(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		db.seed(s)
		must(t, s.AddClient(t.Context(), newClient("shop", orders)))
		calls := 0
		err := s.EachClient(t.Context(), func(*clients.Client) error { calls++; return errOurs })
		wantErr(t, err, errOurs)
		if calls != 1 || errors.Is(err, store.ErrAway) {
			t.Errorf("%d calls, %v", calls, err)
		}
	})
}

// Two issuers that change one client take turns: neither change is lost.
func TestChangesTakeTurns(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		db.seed(db.open())
		const writers, each = 4, 5
		failed := make(chan error, writers*each)
		for writer := range writers {
			s := db.open()
			go func() {
				for i := range each {
					failed <- s.ChangeClient(t.Context(), "billing", "client.renamed", func(c *clients.Client) (string, error) {
						c.Name += fmt.Sprintf("%d.%d ", writer, i)
						return "", nil
					})
				}
			}()
		}
		for range writers * each {
			must(t, <-failed)
		}
		client, err := db.open().Client(t.Context(), "billing")
		must(t, err)
		if want := writers * each * len("0.0 "); len(client.Name) != want {
			t.Errorf("after %d changes: %q", writers*each, client.Name)
		}
		if n := db.count("SELECT n FROM signet_revision"); n != 3+writers*each {
			t.Errorf("revision %d after %d changes", n, 3+writers*each)
		}
	})
}
