package segment_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestOnlyUncertainRunsAreSettled: a sweep tells what became of a run only where
// that was left open, and only by an exact count of the same counter.
func TestOnlyUncertainRunsAreSettled(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		before       []int64
		last         segment.RunState
		counter      string
		stored       validate.Summary
		ago          time.Duration
		want         segment.RunState
	}{
		{"accepted", "the process died between the record and the end", []int64{1000}, segment.RunPassed, "", validate.Count(1100), 2 * time.Hour, segment.RunCommitted},
		{"unknown", "the commit failed, and its users are there", []int64{1000}, segment.RunUnknown, "", validate.Count(1100), 2 * time.Hour, segment.RunCommitted},
		{"rejected", "what is found later does not make a rejected run right", []int64{1000}, segment.RunRejected, "", validate.Count(1100), 2 * time.Hour, segment.RunRejected},
		{"observed", "its outcome is known", []int64{1000}, segment.RunObserved, "", validate.Count(1100), 2 * time.Hour, segment.RunObserved},
		{"estimated", "an estimate is on a number by chance", []int64{1000}, segment.RunUnknown, "", validate.Estimate(1100, 0.001), 2 * time.Hour, segment.RunUnknown},
		{"another counter", "it counts something else", []int64{1000}, segment.RunUnknown, "index", validate.Count(1100), 2 * time.Hour, segment.RunUnknown},
		{"an hour ago", "by then it is not on its way any more", []int64{1000}, segment.RunUnknown, "", validate.Count(1100), time.Hour, segment.RunCommitted},
		{"just now", "it may still be on its way", []int64{1000}, segment.RunUnknown, "", validate.Count(1100), time.Hour - 1, segment.RunUnknown},
		{"the first run, of one user", "no size before is not a size of one", nil, segment.RunUnknown, "", validate.Count(1), 2 * time.Hour, segment.RunCommitted},
		{"the first run, of none", "no size before is not a size of zero", nil, segment.RunUnknown, "", validate.Count(0), 2 * time.Hour, segment.RunCommitted},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFleet(t)
			f.runs(seg("cars"), c.before...)
			f.record(segment.Record{
				Segment: seg("cars"), RunID: "tonight", State: c.last, Counter: c.counter, Users: c.stored.Users(), At: f.now.Add(-c.ago),
			})
			f.sizes[seg("cars")] = c.stored
			f.sweep()
			for tracked, err := range f.ledger.Segments(t.Context(), segment.SegmentFilter{}) {
				require.NoError(t, err)
				require.Equal(t, c.want, tracked.Last.State, c.reason)
			}
		})
	}
}

// TestSizesAreKeptOnceADay: of a segment that a guard stands before, a sweep
// keeps none; of others one every nineteen hours.
func TestSizesAreKeptOnceADay(t *testing.T) {
	f := newFleet(t)
	f.runs(seg("guarded"), 1000, 1000)
	f.sizes[seg("uploaded")] = validate.Count(500)
	kept := func(name string) (n int) {
		sizes := sizesOf(t, f.ledger, seg(name))
		for _, s := range sizes {
			if s.Unguarded {
				n++
			}
		}
		return n
	}
	f.sweep()
	f.now = f.now.Add(19*time.Hour - time.Microsecond)
	f.sweep()
	require.Equal(t, 1, kept("uploaded"), "not nineteen hours later")
	f.now = f.now.Add(time.Microsecond)
	f.sweep()
	require.Equal(t, 2, kept("uploaded"), "nineteen hours later")
	f.now = f.now.AddDate(0, 0, 3)
	f.sweep()
	require.Equal(t, 3, kept("uploaded"))
	require.Zero(t, kept("guarded"), "its runs tell its sizes, however long ago they were")
	f.now = f.now.AddDate(0, 0, 1)
	f.sizes[seg("uploaded")] = validate.Unknown()
	f.sweep()
	require.Equal(t, 3, kept("uploaded"), "what nobody counted is no size")
}

// TestRunOnItsWayIsNotJudged: the size of before explains itself by a run that
// went live after the store was listed, but for an hour only.
func TestRunOnItsWayIsNotJudged(t *testing.T) {
	for _, c := range []struct {
		reason string
		ago    time.Duration
		users  int64
		cases  int
	}{
		{"counted before the run went live", time.Hour - 1, 1000, 0},
		{"an hour explains it no more", time.Hour, 1000, 1},
		{"not the size of before", time.Hour - 1, 990, 1},
		{"the size of the run", time.Hour - 1, 1200, 0},
	} {
		f := newFleet(t)
		f.runs(seg("cars"), 1000)
		f.run(seg("cars"), "tonight", 1200, f.now.Add(-c.ago))
		f.sizes[seg("cars")] = validate.Count(c.users)
		require.Len(t, f.sweep().Findings, c.cases, c.reason)
	}
}
