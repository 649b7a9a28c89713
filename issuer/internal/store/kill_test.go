package store_test

import (
	"strings"
	"testing"
)

// What a process has said to be done is there after it was killed, at whatever it was: no change is lost, and no id is
// accepted again.
func TestKilled(t *testing.T) {
	onBoth(t, func(t *testing.T, db *database) {
		db.open()
		for step := range 5 {
			child := startChild(t, "write", db.url, nil)
			said := ""
			for range 1 + 7*step {
				said += child.line()
			}
			said += child.kill()
			said = said[:strings.LastIndex(said, "\n")+1] // the last line may have been cut
			db.wantDone(strings.Fields(said))
		}
	})
}

func (db *database) wantDone(audiences []string) {
	db.t.Helper()
	s := db.open()
	all, err := s.Resources(db.t.Context())
	must(db.t, err)
	for _, audience := range audiences {
		if all[audience] == nil {
			db.t.Errorf("%s is lost", audience)
		}
		wantSpend(db.t, s, childClient, audience, childUntil, false)
	}
	if len(audiences) == 0 {
		db.t.Error("nothing was done")
	}
	if db.isSQLite() && db.count("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'") != 0 {
		db.t.Error("the file is damaged")
	}
}
