package simulationtest

import (
	"os"
	"runtime/debug"
	"testing"
)

// A world is small and soon over, so that collecting its garbage often takes a
// quarter of its time.
func TestMain(m *testing.M) {
	debug.SetGCPercent(1600)
	os.Exit(m.Run())
}
