package segment_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestSweepOfOldCounts: a listing that stands still counts the store before it was to
// have answered, for ever. An hour after that time people are told.
func TestSweepOfOldCounts(t *testing.T) {
	for _, counted := range []time.Duration{-time.Hour, 5 * time.Hour} {
		l := newLater(t)
		l.commit("sunday", 4800)
		l.submit("monday", 5300)
		at := l.now.Add(counted)
		l.now = l.now.Add(7*time.Hour - time.Second)
		l.sweep(at, validate.Count(4800))
		require.NotNil(t, l.state().Submitted)
		require.Empty(t, l.alerts)
		l.now = l.now.Add(time.Second)
		l.sweep(at, validate.Count(4800))
		l.told(validate.Unverified)
		require.Contains(t, l.alerts[0].Text, "before the store was to have answered")
	}
	l := newLater(t)
	l.commit("sunday", 4800)
	l.submit("monday", 5300)
	at := l.now.Add(5 * time.Hour)
	l.now = l.now.Add(8 * time.Hour)
	l.sweep(at, validate.Count(5300))
	require.Equal(t, segment.RunCommitted, l.state().Last.State, "it had answered by then")
	require.Empty(t, l.alerts)
}
