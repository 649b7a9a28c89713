package oauth

import (
	"context"
	"time"
)

// Spent remembers assertion ids, for as long as anybody might accept them again.
type Spent interface {
	// Spend records that the client used the id, until the given time, and reports whether it was the first to do so. It is
	// not when that time has come, for then an earlier use may be forgotten. An error means that it cannot tell. It is
	// safe for concurrent use.
	Spend(ctx context.Context, clientID, id string, until time.Time) (first bool, err error)
}
