package main_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wantRegistry fails the test when the database does not have what was acknowledged, or has anything that nobody has
// asked for, or has an audit trail that tells another story.
func wantRegistry(t *testing.T, w *world, settings []string, askers []*asker, operators []*operator) {
	t.Helper()
	listed, told := listClients(t, w, settings), audited(t, w, settings)
	for _, a := range askers {
		if !listed[a.id].Enabled {
			t.Errorf("the client %s of the registry that was applied is %+v", a.id, listed[a.id])
		}
		delete(listed, a.id) // the trail says that it was added, and not how
		delete(told, a.id)
	}
	if diff := cmp.Diff(told, listed); diff != "" {
		t.Errorf("the audit trail and the registry differ (-trail +registry):\n%s", diff)
	}
	for _, o := range operators {
		for _, m := range o.clients {
			if !slices.Contains(m.may, listed[m.id]) {
				t.Errorf("the client %s is %+v, want one of %+v", m.id, listed[m.id], m.may)
			}
			delete(listed, m.id)
		}
	}
	for id, s := range listed {
		t.Errorf("nobody made the client %s: %+v", id, s)
	}
}

func listClients(t *testing.T, w *world, settings []string) map[string]shape {
	t.Helper()
	text := w.command("issuer", append([]string{"clients", "list", "-o", "json"}, settings...)...).mustRun(t)
	var all []struct {
		ID          string   `json:"id"`
		Enabled     bool     `json:"enabled"`
		Credentials []string `json:"credentials"`
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("clients list: %v\n%s", err, text)
	}
	listed := make(map[string]shape)
	for _, client := range all {
		s := shape{There: true, Enabled: client.Enabled}
		for _, credential := range client.Credentials {
			_, _ = fmt.Sscanf(credential, "secrets:%d", &s.Secrets) // there are others
		}
		listed[client.ID] = s
	}
	return listed
}

// audited is what the clients are by the audit trail.
func audited(t *testing.T, w *world, settings []string) map[string]shape {
	t.Helper()
	text := w.command("issuer", append([]string{"audit", "-o", "json"}, settings...)...).mustRun(t)
	var trail []struct {
		Kind, Object, Event string
	}
	if err := json.Unmarshal([]byte(text), &trail); err != nil {
		t.Fatalf("audit: %v\n%s", err, text)
	}
	clients := make(map[string]shape)
	for _, line := range trail {
		s := clients[line.Object]
		switch line.Event {
		case "client.added":
			s = shape{There: true, Enabled: true, Secrets: 1}
		case "client.disabled":
			s.Enabled = false
		case "client.enabled":
			s.Enabled = true
		case "client.secret_added":
			s.Secrets++
		case "client.deleted":
			delete(clients, line.Object)
			continue
		}
		if line.Kind == "client" {
			clients[line.Object] = s
		}
	}
	return clients
}

// wantCredentials fails the test when an issuer takes a client for another than it is: each secret that was acknowledged
// is good, unless its client was disabled or deleted.
func wantCredentials(t *testing.T, c *crowd, operators []*operator) {
	t.Helper()
	for _, o := range operators {
		for _, m := range o.clients {
			if len(m.may) > 1 {
				continue
			}
			want := denied
			if m.may[0].Enabled {
				want = granted
			}
			for _, secret := range m.secrets {
				c.await(t, m.request(secret), want)
			}
		}
	}
}

// await waits until every issuer answers a request as it should.
func (c *crowd) await(t *testing.T, r *request, want verdict) {
	t.Helper()
	for i := range c.front.backends {
		eventually(t, "every issuer knows the client "+r.id, func() bool {
			v, _ := c.ask(r, c.front.address(i))
			return v == want
		})
	}
}
