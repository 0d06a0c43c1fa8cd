package segmenttest_test

import (
	"testing"

	"github.com/segmentguard/segmentguard/segment/segmenttest"
)

// Some faults, and two at once: a read that was capped, judged by a store that
// answers late. The job is that of the other example.
//
//nolint:testableexamples // it needs a test; TestExampleIsRight runs the job with these, too
func ExampleTestJob_some() {
	var t *testing.T
	segmenttest.TestJob(t, copySegment,
		segmenttest.UploadsNothing,
		segmenttest.StopsAt10000,
		segmenttest.StopsAt10000.With(segmenttest.LagsAWhile),
	)
}
