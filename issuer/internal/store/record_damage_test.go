package store_test

import (
	"errors"
	"testing"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/store"
)

// damage is what somebody may make of a record by hand.
var damage = []struct{ name, record string }{
	{"nothing", ``},
	{"half of it", `{"id":"victim","enabled":tr`},
	{"no object", `["victim"]`},
	{"null", `null`},
	{"two records", `{"id":"victim"},{"id":"victim"}`},
	{"the end of the list and another", `{"id":"victim"}]}` + "\n" + `{"clients":[{"id":"victim"}`},
	{"YAML that is no JSON", `id: victim`},
	{"an anchor", `{"id":&a "victim"}`},
	{"an unknown field", `{"id":"victim","audience":"victim","admin":true}`},
	{"a field twice", `{"id":"victim","id":"victim","audience":"victim","audience":"victim"}`},
	{"a value of another kind", `{"id":["victim"],"audience":["victim"]}`},
	{"no credentials", `{"id":"victim","enabled":true,"allow":[{"resource":"https://orders.example.com"}]}`},
	{"a short secret", `{"id":"victim","secrets":[{"sha256":"00"}],"allow":[{"resource":"https://orders.example.com"}]}`},
	{"a key that is none", `{"id":"victim","keys":[{"pem":"-----"}],"allow":[{"resource":"https://orders.example.com"}]}`},
	{"a wrong algorithm", `{"audience":"https://victim.example.com","algorithm":"none"}`},
	{"another wrong algorithm", `{"audience":"https://victim.example.com","algorithm":"HS256"}`},
	{"a wrong type", `{"audience":"https://victim.example.com","token_type":"at+JWT"}`},
	{"a lifetime without end", `{"audience":"https://victim.example.com","token_lifetime":"2h"}`},
}

// A client's row that was changed by hand is refused by name, and the others serve.
func TestDamagedClient(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		ctx, s := t.Context(), db.open()
		db.seed(s)
		must(t, s.AddClient(ctx, newClient("victim", orders)))
		other := recordOf(t, newClient("billing", orders))
		for _, tt := range append(damage, struct{ name, record string }{"another's", other}) {
			db.exec("UPDATE signet_clients SET record = $1 WHERE id = 'victim'", tt.record)
			before := db.dump()
			t.Run(tt.name, func(t *testing.T) { wantClientRefused(t, s) })
			db.wantUnchanged(before)
			if _, err := s.Client(ctx, "billing"); err != nil {
				t.Errorf("%s: another client: %v", tt.name, err)
			}
		}
		must(t, s.DeleteClient(ctx, "victim"))
		wantClients(t, s, "billing")
	})
}

func wantClientRefused(t *testing.T, s *store.Store) {
	ctx := t.Context()
	_, err := s.Client(ctx, "victim")
	wantErr(t, err, clients.ErrRecord, `"victim"`)
	if errors.Is(err, store.ErrAway) {
		t.Errorf("the row, and not the database, is at fault: %v", err)
	}
	var seen []string
	err = s.EachClient(ctx, func(c *clients.Client) error { seen = append(seen, c.ID); return nil })
	wantErr(t, err, clients.ErrRecord, `"victim"`)
	if len(seen) != 1 {
		t.Errorf("before it: %q", seen)
	}
	err = s.ChangeClient(ctx, "victim", "client.changed", func(c *clients.Client) (string, error) {
		t.Error("a damaged client is to be changed")
		c.Name = "other"
		return "", nil
	})
	wantErr(t, err, clients.ErrRecord, `"victim"`)
	if err := s.AddClient(ctx, newClient("victim", orders)); err == nil {
		t.Error("it was added again")
	}
}

// The same for a resource. All are read as one, so that none serves under rules that somebody has broken.
func TestDamagedResource(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		ctx, s := t.Context(), db.open()
		db.seed(s)
		const victim = "https://victim.example.com"
		must(t, s.AddResource(ctx, newResource(victim)))
		other := recordOf(t, newResource(invoices))
		for _, tt := range append(damage, struct{ name, record string }{"another's", other}) {
			db.exec("UPDATE signet_resources SET record = $1 WHERE audience = $2", tt.record, victim)
			before := db.dump()
			_, err := s.Resources(ctx)
			t.Run(tt.name, func(t *testing.T) { wantErr(t, err, clients.ErrRecord, victim) })
			err = s.ChangeResource(ctx, victim, "resource.changed", func(r *clients.Resource) error { r.Enabled = false; return nil })
			t.Run(tt.name+", changed", func(t *testing.T) { wantErr(t, err, clients.ErrRecord, victim) })
			db.wantUnchanged(before)
			if _, err := s.Client(ctx, "billing"); err != nil {
				t.Errorf("%s: a client: %v", tt.name, err)
			}
		}
		must(t, s.DeleteResource(ctx, victim))
		if all, err := s.Resources(ctx); err != nil || len(all) != 2 {
			t.Errorf("without it: %v, %v", all, err)
		}
	})
}
