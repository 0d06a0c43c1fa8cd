package segment_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A scale notes the most segments of one change, and the most alerts that were
// told at once; and what was told first.
type scale struct {
	*segment.Memory

	changed, told int
	first         []segment.Alert
}

func (s *scale) Change(ctx context.Context, keys []segment.Key, change func(*segment.SegmentState) error) error {
	s.changed = max(s.changed, len(keys))
	return s.Memory.Change(ctx, keys, change)
}

func (s *scale) Tell(_ context.Context, firing, resolved []segment.Alert) error {
	s.told = max(s.told, len(firing)+len(resolved))
	if s.first == nil {
		s.first = firing
	}
	return nil
}

// TestSweepInChunks: a sweep that finds very many segments affected writes and
// tells some of them at a time, the incident first, and leaves out none, nor what
// was found of it.
func TestSweepInChunks(t *testing.T) {
	const affected = 3500
	f := newFleet(t)
	scale := &scale{Memory: f.ledger}
	f.config.Ledger, f.config.Alerter = scale, scale
	id := func(i int) segment.ID { return seg(fmt.Sprintf("%04d", i)) }
	for i := range affected {
		f.runs(id(i), 20_000+int64(i), 20_000+int64(i), 20_000+int64(i))
		f.sizes[id(i)] = validate.Count(9000 - int64(i)) // the later, the graver
	}
	for i := range affected / 100 { // among them many at one size, which some runs brought
		limited := id(100 * i)
		f.run(limited, "tonight", 10_000, f.now)
		f.sizes[limited] = validate.Count(10_000)
	}
	delete(f.sizes, id(7))
	s := f.sweep()
	require.Len(t, s.Affected, affected)
	require.Len(t, s.Findings, 1000)
	require.Equal(t, 1, s.Missing)
	require.LessOrEqual(t, scale.changed, 1000, "segments that a guard may have to wait for")
	require.LessOrEqual(t, scale.told, 1000)
	require.NotNil(t, scale.first[0].About, "before the segments that it holds back")
	for i, c := range s.Findings {
		require.Equal(t, segment.Affected{Segment: c.Segment, Users: c.Users}, s.Affected[i])
		require.NotEmpty(t, c.Sizes)
		require.NotEmpty(t, c.Report.Findings)
		require.NotEmpty(t, c.Text)
	}
	require.Equal(t, validate.Capped, s.Findings[affected/100-1].Kind)
	require.Equal(t, id(affected-1), s.Affected[affected/100].Segment, "then the one with the most users")
	require.Equal(t, id(7), s.Affected[affected-1].Segment, "not to be verified")
	for i := range affected {
		states := map[bool]segment.SegmentState{}
		require.NoError(t, f.ledger.Change(t.Context(), []segment.Key{id(i).In("")}, func(s *segment.SegmentState) error {
			states[true] = *s
			return nil
		}))
		state := states[true]
		require.NotNil(t, state.Alert.Open, id(i))
		require.NotNil(t, state.Alert.Told, id(i))
		switch {
		case i%100 == 0:
			require.Contains(t, state.Alert.Open.Report.String(), "a limit at work")
			require.Len(t, state.Sizes, 3, "what a limit brought is no measure for others")
		case i != 7:
			require.Contains(t, state.Alert.Open.Text, fmt.Sprintf("stored %s of", validate.Count(9000 - int64(i)).String()[:len("9,000")]))
		}
	}
	clear(f.sizes)
	for i := range affected {
		f.sizes[id(i)] = validate.Count(20_000 + int64(i))
	}
	for range 2 { // one that finds nothing may be in error
		f.now = f.now.Add(time.Minute)
		require.Empty(t, f.sweep().Affected)
	}
	require.LessOrEqual(t, scale.changed, 1000)
	for s := range f.ledger.Segments(t.Context(), segment.SegmentFilter{Affected: true}) {
		t.Fatalf("the alert of %s is not over", s.Segment)
	}
}
