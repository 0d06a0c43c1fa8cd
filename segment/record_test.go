package segment_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
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
