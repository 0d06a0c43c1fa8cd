package segment_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestMissingFromTheListing: a segment that was ever live must be in the store's
// listing, unless its first run may have gone live while that was made.
func TestMissingFromTheListing(t *testing.T) {
	for _, c := range []struct {
		reason string
		runs   int
		state  segment.RunState
		ago    time.Duration
		want   int
	}{
		{"the first run, just now", 1, segment.RunCommitted, 30 * time.Minute, 0},
		{"the first run, long ago", 1, segment.RunCommitted, 61 * time.Minute, 1},
		{"the second run, just now", 2, segment.RunCommitted, 30 * time.Minute, 1},
		{"never live", 1, segment.RunRejected, 3 * time.Hour, 0},
		{"may be live or not", 1, segment.RunUnknown, 3 * time.Hour, 1},
	} {
		f := newFleet(t)
		for i := range c.runs {
			f.record(segment.Record{
				Segment: seg("gone"), RunID: fmt.Sprint("run ", i), State: c.state, Users: 1000,
				At: f.now.Add(-c.ago).AddDate(0, 0, i+1-c.runs),
			})
		}
		s := f.sweep()
		require.Equal(t, c.want, s.Missing, c.reason)
		require.Len(t, s.Findings, c.want, c.reason)
	}
}

// TestSignatureSpoilsNoGoodSize: a limit that shows in the store, and not in what
// the last runs brought, takes none of their sizes out of the baselines.
func TestSignatureSpoilsNoGoodSize(t *testing.T) {
	for _, recorded := range []bool{false, true} {
		f := newFleet(t)
		for i := range int64(6) {
			id := seg(fmt.Sprint("s", i))
			f.runs(id, 20_000+1000*i, 20_000+1000*i, 20_000+1000*i)
			if recorded { // by a guard in observe mode, or one whose Expected came from what was read
				f.run(id, "tonight", 10_000, f.now.Add(-time.Minute))
			}
			f.sizes[id] = validate.Count(10_000)
		}
		s := f.sweep()
		require.Len(t, s.Findings, 6)
		for _, c := range s.Findings {
			require.Contains(t, c.Report.String(), "a limit at work")
			sizes := sizesOf(t, f.ledger, c.Segment)
			require.Len(t, sizes, 3, "recorded: %v", recorded)
		}
	}
}

// TestSweepKeepsSizesBehindABadOne: one size that the ledger does not take keeps
// no other from being kept, however far behind it.
func TestSweepKeepsSizesBehindABadOne(t *testing.T) {
	f := newFleet(t)
	f.sizes[seg("\xff")] = validate.Count(7)
	const many = 3000
	for i := range many {
		f.sizes[seg(fmt.Sprint("s", i))] = validate.Count(7)
	}
	_, err := f.trySweep(f.listing(), nil)
	require.ErrorContains(t, err, "UTF-8")
	kept := 0
	for tracked, err := range f.ledger.Segments(t.Context(), segment.SegmentFilter{}) {
		require.NoError(t, err)
		kept += len(tracked.Sizes)
	}
	require.Equal(t, many, kept)
}

// TestSweepCountsAllBatches: what is counted is that of all segments, however
// many batches they come in.
func TestSweepCountsAllBatches(t *testing.T) {
	f := newFleet(t)
	const each = 1500
	for i := range each {
		f.run(seg(fmt.Sprint("gone ", i)), "a", 1000, f.now.AddDate(0, 0, -1))
		delete(f.sizes, seg(fmt.Sprint("gone ", i)))
		f.run(seg(fmt.Sprint("healthy ", i)), "a", 1000, f.now.AddDate(0, 0, -1))
		f.sizes[seg(fmt.Sprint("unwatched ", i))] = validate.Count(7)
	}
	s := f.sweep()
	require.Equal(t, []int{2 * each, each, each, each}, []int{s.Segments, s.Healthy, s.Unwatched, s.Missing})
	require.Len(t, s.Affected, each)
	require.Len(t, s.Findings, 1000)
	require.Contains(t, s.String(), "… and 500 more segments, not as grave.")
}
