package segment_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestLiveOutputIsNotCommitted: what is live already can be neither committed
// nor discarded, each by itself.
func TestLiveOutputIsNotCommitted(t *testing.T) {
	for _, edit := range []func(*segment.Run){
		func(r *segment.Run) { r.Commit = nil },
		func(r *segment.Run) { r.Discard = nil },
	} {
		b := newBench(t)
		b.run.Live = true
		edit(&b.run)
		_, err := b.commit()
		require.ErrorContains(t, err, "Run.Live is true, want no Commit and no Discard with it")
		require.Equal(t, int64(4800), b.live)
	}
}

// TestShortestSettle: Max may be just the time that two readings take, and then
// there are two.
func TestShortestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, late := range []time.Duration{0, time.Hour} {
			b := newBench(t)
			b.rule(segment.Rule{Settle: segment.Settle{Min: time.Minute, Max: 90 * time.Second, Every: 30 * time.Second}})
			b.run.WrittenAt = time.Now().Add(-late)
			readings := 0
			b.run.Stored = func(context.Context) (validate.Summary, error) {
				readings++
				return validate.Count(4100).AsOf(time.Now()), nil
			}
			_, err := b.commit()
			require.ErrorIs(t, err, validate.Short)
			require.Equal(t, 2, readings)
		}
	})
}

// TestListingFailsWithinASegment: an error that comes with a segment is an
// error, also where that segment was listed before.
func TestListingFailsWithinASegment(t *testing.T) {
	f := newFleet(t)
	f.runs(seg("a"), 10, 10)
	m, err := segment.NewMonitor(f.config)
	require.NoError(t, err)
	broken := errors.New("broken")
	current := f.listing()[0]
	s, err := m.Sweep(t.Context(), func(yield func(segment.Current, error) bool) {
		_ = yield(current, nil) && yield(current, broken)
	})
	require.ErrorIs(t, err, broken)
	require.False(t, s.Complete)
}

// TestNewIncidentIsToldOnce: an incident of which the alerter could not be told
// is new the next time, and no standing one.
func TestNewIncidentIsToldOnce(t *testing.T) {
	f := newFleet(t)
	b := &batch{recorder: newRecorder()}
	f.config.Alerter = b
	for _, name := range []string{"a", "b", "c", "d"} {
		f.runs(seg(name), 1000, 1000)
		f.sizes[seg(name)] = validate.Count(900)
	}
	b.fail = errDown
	_, err := f.trySweep(f.listing(), nil)
	require.ErrorIs(t, err, errDown)
	b.fail = nil
	f.sweep()
	told := 0
	for _, text := range b.since() {
		if text == "fire short build-7 incident/copy short build-7" {
			told++
		}
	}
	require.Equal(t, 1, told)
}
