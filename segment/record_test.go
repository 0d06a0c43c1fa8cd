package segment_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestRecordSaysWhatIsLive: a rejected run left nothing live where it was
// discarded, and its own output where that was live already.
func TestRecordSaysWhatIsLive(t *testing.T) {
	for _, c := range []struct {
		live   bool
		staged int64
		state  segment.RunState
		want   bool
	}{
		{true, 4100, segment.RunRejected, true},
		{true, 5300, segment.RunCommitted, false},
		{false, 4100, segment.RunRejected, false},
		{false, 5300, segment.RunCommitted, false},
	} {
		b := newBench(t)
		b.staged = c.staged
		if c.live {
			b.run.Live, b.run.Staging.Commit, b.run.Staging.Discard = true, nil, nil
		}
		_, err := b.commit()
		require.Equal(t, c.state == segment.RunRejected, err != nil)
		require.Equal(t, c.state, b.last().State)
		require.Equal(t, c.want, b.last().Live, "live %v, %d users", c.live, c.staged)
	}
}

// TestBoundsAreNoSize: a size that is known within bounds goes live where the policy
// lets it, and is no number to judge later ones by, nor one that anybody can accept.
func TestBoundsAreNoSize(t *testing.T) {
	b := newBench(t)
	b.rule(segment.Rule{Policy: validate.Policy{AllowPossible: true}})
	b.run.Stored = func(context.Context) (validate.Summary, error) { return validate.Bounded(5000, 5999), nil }
	report, err := b.commit()
	require.NoError(t, err)
	require.Equal(t, validate.Unverified, report.Gravest(), "with a warning")
	last := b.last()
	require.Equal(t, segment.RunCommitted, last.State)
	require.Zero(t, last.Users, "and not the lower bound")
	require.False(t, last.InBaseline())
	require.Empty(t, b.baseline())
	for s, err := range b.ledger.Segments(t.Context(), segment.SegmentFilter{}) {
		require.NoError(t, err)
		require.Nil(t, s.Live, "nobody knows how many are live")
	}
	_, err = segment.Accept(t.Context(), b.ledger, which(last.RunID, last.Segment), ann(last.At))
	require.ErrorContains(t, err, "its size was never read back as a number")
}
