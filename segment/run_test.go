package segment_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
)

// TestLiveOutputIsNotCommitted: what is live already can be neither committed
// nor discarded, each by itself.
func TestLiveOutputIsNotCommitted(t *testing.T) {
	for _, edit := range []func(*segment.Run){
		func(r *segment.Run) { r.Staging.Commit = nil },
		func(r *segment.Run) { r.Staging.Discard = nil },
	} {
		b := newBench(t)
		b.run.Live = true
		edit(&b.run)
		_, err := b.commit()
		require.ErrorContains(t, err, "Run.Live is true, want no Staging with it")
		require.Equal(t, int64(4800), b.live)
	}
}
