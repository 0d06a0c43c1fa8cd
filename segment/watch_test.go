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
		state  segment.State
		ago    time.Duration
		want   int
	}{
		{"the first run, just now", 1, segment.Committed, 30 * time.Minute, 0},
		{"the first run, long ago", 1, segment.Committed, 61 * time.Minute, 1},
		{"the second run, just now", 2, segment.Committed, 30 * time.Minute, 1},
		{"never live", 1, segment.Rejected, 3 * time.Hour, 0},
		{"live or not, nobody knows", 1, segment.Unknown, 3 * time.Hour, 1},
	} {
		f := newFleet(t)
		for i := range c.runs {
			f.record(segment.Record{
				Segment: seg("gone"), Run: fmt.Sprint("run ", i), State: c.state, Users: 1000,
				At: f.now.Add(-c.ago).AddDate(0, 0, i+1-c.runs),
			})
		}
		s := f.sweep()
		require.Equal(t, c.want, s.Missing, c.reason)
		require.Len(t, s.Cases, c.want, c.reason)
	}
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
	require.Len(t, s.Cases, each)
}
