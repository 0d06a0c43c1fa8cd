package segmenttest_test

import (
	"testing"

	"github.com/segmentguard/segmentguard/segment/segmenttest"
)

func TestRightJobs(t *testing.T) {
	segmenttest.TestJob(t, copySegment)
}
