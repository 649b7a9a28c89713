package tokens_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails when a test leaves a goroutine behind: an exchange that nobody waits for any more has to end by itself.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
