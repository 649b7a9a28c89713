package store

import "context"

// Pragma returns a setting of SQLite's, as it is for each of n connections at once.
func (s *Store) Pragma(ctx context.Context, name string, n int) (values []string, err error) {
	for range n {
		conn, err := s.db.Conn(ctx)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		var value string
		if err := conn.QueryRowContext(ctx, "PRAGMA "+name).Scan(&value); err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}

// CheckQuiet is what a connection is asked before it is used again.
var CheckQuiet = checkQuiet

// Pending returns how many uses are to be written down.
func (u *Uses) Pending() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.pending)
}

// RoundTrip asks the database for nothing, which is the least that any question costs.
func (s *Store) RoundTrip(ctx context.Context) error {
	return s.db.QueryRowContext(ctx, "SELECT 1").Scan(new(int))
}
