package segmenttest_test

import (
	"testing"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/segmenttest"
)

func TestMemoryIsALedger(t *testing.T) {
	segmenttest.TestLedger(t, func(*testing.T) segment.Ledger { return segment.NewMemory() })
}
