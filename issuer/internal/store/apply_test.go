package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/store"
)

const digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

// registry reads a registry as of the database's clock.
func registry(t *testing.T, db *database, text string) *clients.Registry {
	t.Helper()
	path := filepath.Join(t.TempDir(), "registry.yaml")
	must(t, os.WriteFile(path, []byte(text), 0o600))
	r, err := clients.ReadFile(path, db.clock.Now())
	must(t, err)
	return r
}

// manyClients is a registry of n clients, of which each has the name.
func manyClients(t *testing.T, db *database, n int, name string) *clients.Registry {
	t.Helper()
	var text strings.Builder
	text.WriteString("resources: [{audience: https://orders.example.com}]\nclients:\n")
	for i := range n {
		fmt.Fprintf(&text, "- {id: client-%04d, name: %s, secrets: [{sha256: %s}], allow: [{resource: https://orders.example.com}]}\n",
			i, name, digest)
	}
	return registry(t, db, text.String())
}

const before = `
resources:
- {audience: https://orders.example.com, scopes: [read, write]}
- {audience: https://invoices.example.com}
- {audience: https://gone.example.com}
clients:
- {id: billing, secrets: [{sha256: ` + digest + `}], allow: [{resource: https://orders.example.com, scopes: [read, write]}]}
- {id: gone, secrets: [{sha256: ` + digest + `}], allow: [{resource: https://gone.example.com}]}
- {id: same, secrets: [{sha256: ` + digest + `}], allow: [{resource: https://invoices.example.com}]}
`

const after = `
resources:
- {audience: https://orders.example.com, scopes: [read], token_lifetime: 5m}
- {audience: https://invoices.example.com}
- {audience: https://new.example.com}
clients:
- {id: billing, name: Billing, enabled: false, secrets: [{sha256: ` + digest + `}],
   allow: [{resource: https://orders.example.com, scopes: [read]}, {resource: https://new.example.com}],
   default_resource: https://new.example.com}
- {id: same, secrets: [{sha256: ` + digest + `}], allow: [{resource: https://invoices.example.com}]}
- {id: new, secrets: [{sha256: ` + digest + `, expires: 2027-01-31T00:00:00Z}], allow: [{resource: https://new.example.com}]}
`

// changes are what leads from before to after; pruning adds the last two.
var changes = []store.Difference{
	{Kind: store.KindResource, Object: "https://new.example.com", Event: "added"},
	{Kind: store.KindResource, Object: orders, Event: "changed", Fields: []string{"scopes", "token_lifetime"}},
	{Kind: store.KindClient, Object: "billing", Event: "changed", Fields: []string{"allow", "default_resource", "enabled", "name"}},
	{Kind: store.KindClient, Object: "new", Event: "added"},
	{Kind: store.KindClient, Object: "gone", Event: "deleted"},
	{Kind: store.KindResource, Object: "https://gone.example.com", Event: "deleted"},
}

// applied applies a registry and returns what it said that it would do.
func applied(t *testing.T, s *store.Store, wanted *clients.Registry, options store.ApplyOptions) (shown []store.Difference) {
	t.Helper()
	calls := 0
	options.Show = func(all []store.Difference) error {
		shown = all
		calls++
		return nil
	}
	must(t, s.Apply(t.Context(), wanted, options))
	if calls != 1 {
		t.Errorf("shown %d times", calls)
	}
	return shown
}

// Applying shows what it does, does it in one revision, and does nothing the second time.
func TestApply(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		applied(t, s, registry(t, db, before), store.ApplyOptions{})
		wanted := registry(t, db, after)
		was := db.dump()
		for _, prune := range []bool{true, false} {
			shown := applied(t, s, wanted, store.ApplyOptions{DryRun: true, Prune: prune})
			if diff := cmp.Diff(changesIf(prune), shown); diff != "" {
				t.Errorf("prune %v, - want + got:\n%s", prune, diff)
			}
		}
		db.wantUnchanged(was)
		applied(t, s, wanted, store.ApplyOptions{})
		wantClients(t, s, "billing", "gone", "new", "same")
		if diff := cmp.Diff(changes[4:], applied(t, s, wanted, store.ApplyOptions{Prune: true})); diff != "" {
			t.Errorf("pruning, - want + got:\n%s", diff)
		}
		wantRegistry(t, s, wanted)
		was = db.dump()
		if shown := applied(t, s, registry(t, db, after), store.ApplyOptions{Prune: true}); len(shown) != 0 {
			t.Errorf("the second time: %v", shown)
		}
		db.wantUnchanged(was)
		wantTrail(t, trail(t, s, db.clock.Now()))
	})
}

func changesIf(prune bool) []store.Difference {
	if prune {
		return changes
	}
	return changes[:4]
}

// wantRegistry sees that the database says what the registry says.
func wantRegistry(t *testing.T, s *store.Store, wanted *clients.Registry) {
	t.Helper()
	var got []*clients.Client
	must(t, s.EachClient(t.Context(), func(client *clients.Client) error {
		got = append(got, client)
		return nil
	}))
	if diff := cmp.Diff(recordsOf(t, wanted.Clients()), recordsOf(t, got)); diff != "" {
		t.Errorf("clients, - want + got:\n%s", diff)
	}
	all, err := s.Resources(t.Context())
	must(t, err)
	if diff := cmp.Diff(recordsOf(t, wanted.All()), recordsOf(t, clients.NewResources(all).All())); diff != "" {
		t.Errorf("resources, - want + got:\n%s", diff)
	}
}

// wantTrail sees that the audit trail tells of every change once, all of one application in one revision.
func wantTrail(t *testing.T, all []store.Change) {
	t.Helper()
	var got []string
	for _, c := range all {
		got = append(got, fmt.Sprint(c.Revision, " ", c.Event, " ", c.Object, " ", c.Detail))
	}
	want := []string{
		"1 resource.added https://gone.example.com ", "1 resource.added https://invoices.example.com ",
		"1 resource.added https://orders.example.com ",
		"1 client.added billing ", "1 client.added gone ", "1 client.added same ",
		"2 resource.added https://new.example.com ", "2 resource.changed https://orders.example.com scopes token_lifetime",
		"2 client.changed billing allow default_resource enabled name", "2 client.added new ",
		"3 client.deleted gone ", "3 resource.deleted https://gone.example.com ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the audit trail, - want + got:\n%s", diff)
	}
}

// What cannot be applied as a whole is not applied at all.
func TestApplyRefused(t *testing.T) {
	const rest = "clients:\n- {id: new, secrets: [{sha256: " + digest + "}], allow: [{resource: https://invoices.example.com}]}\n"
	fewer := "resources: [{audience: https://invoices.example.com}, {audience: https://orders.example.com, scopes: [write]}]\n"
	tests := []struct {
		name, registry string
		options        store.ApplyOptions
		want           error
		words          []string
	}{
		{"a scope that another client may ask for", fewer + rest, store.ApplyOptions{}, store.ErrInUse, []string{orders, "read"}},
		{"whoever is shown refuses", before, store.ApplyOptions{Prune: true, Show: func([]store.Difference) error { return errOurs }},
			errOurs, nil},
		{"whoever is shown refuses a dry run", before,
			store.ApplyOptions{DryRun: true, Show: func([]store.Difference) error { return errOurs }}, errOurs, nil},
	}
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		db.seed(s)
		was := db.dump()
		for _, tt := range tests {
			err := s.Apply(t.Context(), registry(t, db, tt.registry), tt.options)
			t.Run(tt.name, func(t *testing.T) { wantErr(t, err, tt.want, tt.words...) })
			db.wantUnchanged(was)
		}
		applied(t, s, registry(t, db, fewer+rest), store.ApplyOptions{Prune: true}) // with the client the reason goes
		wantClients(t, s, "new")
	})
}

// A registry mends rows that were changed by hand.
func TestApplyMends(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		wanted := registry(t, db, before)
		applied(t, s, wanted, store.ApplyOptions{})
		db.exec("UPDATE signet_clients SET record = 'nothing' WHERE id = 'billing'")
		db.exec("UPDATE signet_resources SET record = '{}' WHERE audience = 'https://orders.example.com'")
		db.exec("DELETE FROM signet_grants WHERE client = 'billing'")
		want := []store.Difference{
			{Kind: store.KindResource, Object: orders, Event: "changed",
				Fields: []string{"algorithm", "audience", "enabled", "scopes", "token_lifetime", "token_type"}},
			{Kind: store.KindClient, Object: "billing", Event: "changed"},
		}
		if diff := cmp.Diff(want, applied(t, s, wanted, store.ApplyOptions{Prune: true})); diff != "" {
			t.Errorf("- want + got:\n%s", diff)
		}
		wantRegistry(t, s, wanted)
		wantErr(t, s.DeleteResource(t.Context(), orders), store.ErrInUse, "billing")
	})
}

// Many clients go in one transaction, and a reader sees none of them or all.
func TestApplyMany(t *testing.T) {
	const n = 3000
	onBoth(t, func(t *testing.T, db *database) {
		s := db.open()
		wanted := manyClients(t, db, n, "a")
		done := make(chan error, 1)
		go func() { done <- s.Apply(t.Context(), wanted, store.ApplyOptions{Prune: true}) }()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for ended := false; !ended; {
			select {
			case err := <-done:
				must(t, err)
				ended = true
			case <-tick.C:
			}
			if found, err := s.Clients(t.Context()); err != nil || (found != 0 && found != n) {
				t.Fatalf("%d clients, %v", found, err)
			}
		}
		if shown := applied(t, s, wanted, store.ApplyOptions{Prune: true}); len(shown) != 0 {
			t.Errorf("the second time: %d differences", len(shown))
		}
		if found := db.count("SELECT count(*) FROM signet_grants"); found != n {
			t.Errorf("%d grants", found)
		}
		if shown := applied(t, s, manyClients(t, db, n-600, "a"), store.ApplyOptions{Prune: true}); len(shown) != 600 {
			t.Errorf("without 600: %d differences", len(shown))
		}
		if found, err := s.Clients(t.Context()); err != nil || found != n-600 {
			t.Errorf("%d clients, %v", found, err)
		}
	})
}
