// Package store keeps what must outlive the issuer: clients and resources, when secrets were last used, the ids of client
// assertions, sealed signing keys, and the audit trail of every change. It keeps it in SQLite, for one issuer, or in
// PostgreSQL, for any number of them:
//
//	s, err := store.Open(ctx, store.Config{URL: "sqlite:issuer.db", Log: log, Migrate: true})
//	defer s.Close()
//	first, err := s.Spend(ctx, "billing", jti, expires)
//
// Both take the same SQL. What differs is in sqlite.go and postgres.go.
package store
