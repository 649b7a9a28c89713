package pgtest

import (
	"sync"
	"testing"
)

var shared struct {
	mu     sync.Mutex
	server *Server
	err    error // why there is none
}

// Shared returns the one server that the tests of a package share: the first call starts it, [StopShared] ends it. Its
// methods that stop, kill, pause or change a server panic. A failed test prints what the server logged meanwhile.
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = start(nil)
	}
	check(t, shared.err)
	shared.server.logIfFailed(t)
	return shared.server
}

// StopShared stops the shared server, if there is one. [Main] calls it.
func StopShared() {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server == nil {
		return
	}
	shared.server.close()
	_ = shared.server.room.remove()
	shared.server = nil
}

// Main is the M of a package whose tests use Shared; whatever takes a testing.M by its Run takes it as well:
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Main{m}) }
type Main struct{ M interface{ Run() int } }

// Run runs the tests and stops the shared server. It returns the exit status.
func (m Main) Run() int {
	defer StopShared()
	return m.M.Run()
}
