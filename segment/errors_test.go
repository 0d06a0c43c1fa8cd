package segment_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestLaggingIsRetryable: what a lagging store leads to may be tried again, unless
// the output is live, may be, or has a successor.
func TestLaggingIsRetryable(t *testing.T) {
	now := time.Now()
	_, lagging := validate.Check(t.Context(), validate.Policy{}, validate.Output{
		Expected: validate.Count(5), Stored: validate.Count(5).AsOf(now.Add(-time.Hour)), WrittenAt: now,
	})
	require.True(t, segment.Retryable(lagging))
	require.True(t, segment.Retryable(fmt.Errorf("job: %w", lagging)))
	for _, err := range []error{
		&segment.LiveError{Err: lagging},
		&segment.UnknownError{Err: lagging},
		fmt.Errorf("%w; %w", segment.ErrSuperseded, lagging),
	} {
		require.ErrorIs(t, err, validate.Unverified)
		require.False(t, segment.Retryable(err), "%v", err)
	}
}
