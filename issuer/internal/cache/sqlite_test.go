package cache_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"example.com/signet/issuer/internal/cache"
	"example.com/signet/issuer/internal/clients"
	"example.com/signet/issuer/internal/store"
)

var _ cache.Store = (*store.Store)(nil)

// shared is a cache on a real database, which somebody else changes.
type shared struct {
	*world
	path  string
	ours  *store.Store // the cache's
	other *store.Store // of whoever changes it
}

func openShared(t *testing.T) *shared {
	t.Helper()
	s := &shared{world: newWorld(t), path: filepath.Join(t.TempDir(), "issuer.db")}
	s.ours, s.other = s.store(), s.store()
	s.must(s.other.AddResource(t.Context(), newResource(orders, "read")))
	s.must(s.other.AddClient(t.Context(), withSecret("billing", "it")))
	s.open(func(cfg *cache.Config) { cfg.Store = s.ours })
	return s
}

func (s *shared) store() *store.Store {
	s.t.Helper()
	opened, err := store.Open(s.t.Context(), store.Config{
		URL: "sqlite:" + s.path, Migrate: true, Actor: "tester", Log: slog.New(slog.DiscardHandler), Now: s.clock.Now,
	})
	s.must(err)
	s.t.Cleanup(func() { _ = opened.Close() })
	return opened
}

func (s *shared) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// withSecret is a client that a registry takes.
func withSecret(id, name string) *clients.Client {
	client := named(id, name)
	client.Secrets = []clients.Secret{{Digest: sha256.Sum256([]byte(id))}}
	return client
}

// rename changes a client.
func (s *shared) rename(id, name string) {
	s.t.Helper()
	s.must(s.other.ChangeClient(s.t.Context(), id, "client.renamed", func(c *clients.Client) (string, error) {
		c.Name = name
		return "", nil
	}))
}

// Whatever another issuer changes in a real database is followed.
func TestFollowsSQLite(t *testing.T) {
	t.Parallel()
	ctx, s := t.Context(), openShared(t)
	s.wants("billing", "it", "nobody", unknown, "no id", unknown)
	s.rename("billing", "new")
	s.must(s.other.AddClient(ctx, withSecret("nobody", "somebody")))
	s.wants("billing", "it", "nobody", unknown)
	s.look(nil)
	s.wants("billing", "new", "nobody", "somebody")
	s.must(s.other.DeleteClient(ctx, "billing"))
	after := newResource(orders, "read", "write")
	s.must(s.other.ChangeResource(ctx, orders, "resource.changed", func(r *clients.Resource) error {
		r.Scopes = after.Scopes
		return nil
	}))
	s.wants("billing", "new")
	s.serves(newResource(orders, "read"))
	s.look(nil)
	s.wants("billing", unknown)
	s.serves(after)
	s.log.says(t)
}

// A whole registry that is applied at once is more than anybody names.
func TestFollowsManyChanges(t *testing.T) {
	t.Parallel()
	s := openShared(t)
	s.wants("billing", "it", "c0", unknown, "c1100", unknown)
	var file string
	for i := range 1101 {
		file += fmt.Sprintf("  - {id: c%d, name: new, allow: [{resource: '%s'}], secrets: [{sha256: %064d}]}\n", i, orders, i)
	}
	path := filepath.Join(t.TempDir(), "registry.yaml")
	s.must(os.WriteFile(path, []byte("resources: [{audience: '"+orders+"'}]\nclients:\n"+file), 0o600))
	registry, err := clients.ReadFile(path, s.clock.Now())
	s.must(err)
	s.must(s.other.Apply(t.Context(), registry, store.ApplyOptions{Prune: true}))
	s.look(nil)
	s.wants("billing", unknown, "c0", "new", "c1100", "new")
	s.serves(newResource(orders))
}

// A client's row that was changed by hand is refused, each time, and the others serve.
func TestDamagedRow(t *testing.T) {
	t.Parallel()
	s := openShared(t)
	s.must(s.other.AddClient(t.Context(), withSecret("victim", "victim")))
	s.wants("billing", "it")
	hand, err := sql.Open("sqlite", "file:"+s.path)
	s.must(err)
	defer func() { _ = hand.Close() }()
	_, err = hand.ExecContext(t.Context(), "UPDATE signet_clients SET record = '{' WHERE id = 'victim'")
	s.must(err)
	for range 2 {
		s.look(nil)
		client, err := s.find("victim")
		if client != nil || !errors.Is(err, clients.ErrRecord) || errors.Is(err, clients.ErrUnknownClient) {
			t.Errorf("%v, %v", client, err)
		}
		s.wants("billing", "it")
	}
	s.must(s.other.DeleteClient(t.Context(), "victim"))
	s.look(nil)
	s.wants("victim", unknown)
}

// A real database that is away is the same as one of a test: held clients serve, for as long as they may.
func TestSQLiteAway(t *testing.T) {
	t.Parallel()
	s := openShared(t)
	s.wants("billing", "it", "nobody", unknown)
	s.must(s.ours.Close())
	s.clock.Advance(maxStale)
	s.look(store.ErrAway)
	s.wants("billing", "it", "nobody", unknown)
	_, err := s.find("new")
	wantErr(t, err, store.ErrAway)
	s.clock.Advance(1)
	_, err = s.find("billing")
	wantErr(t, err, cache.ErrStale)
}

// The cache and its real database are good for many at once.
func TestSQLiteConcurrently(t *testing.T) {
	t.Parallel()
	s := openShared(t)
	ctx, cancel := context.WithCancel(t.Context())
	wake, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx, wake)
	}()
	defer func() {
		cancel()
		<-ended
	}()
	for i := range 20 {
		name := fmt.Sprint("n", i)
		s.rename("billing", name)
		wake <- struct{}{}
		wake <- struct{}{} // which it takes once it has looked because of the first
		var got answers
		for range 8 {
			s.asking(t.Context(), "billing", &got)
		}
		for len(got.sorted()) < 8 {
			s.wants("billing", name, "nobody", unknown)
		}
		for _, one := range got.sorted() {
			if one != name {
				t.Errorf("%q, want %q", one, name)
			}
		}
	}
}
