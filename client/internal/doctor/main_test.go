package doctor_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails when an examination leaves a connection or a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
