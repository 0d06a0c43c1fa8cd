package ledgertest

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// submitted returns the record of a run that waits for its store.
func submitted(id segment.ID, run string, number int64) segment.Record {
	r := with(rec(run, 1, segment.RunSubmitted, 3), func(r *segment.Record) { r.Segment, r.Number = id, number })
	r.Submitted = &segment.Submitted{
		RunID: run, Attempt: 1, Number: number, Build: "v1", Job: segment.Copy(id, id), Counter: "api", Generation: 7,
		At: r.At, Until: r.At.Add(time.Hour), WrittenAt: r.At.Add(-time.Minute),
		Expected: validate.Bounded(4, 6), Read: validate.Count(5).AsOf(r.At), Written: validate.Estimate(5, 0.01),
	}
	return r
}

// selectSubmitted returns this test's segments with a run that waits for its store.
func selectSubmitted(t *testing.T, l segment.Ledger, f segment.SegmentFilter) (ids []segment.ID) {
	t.Helper()
	f.Submitted = true
	for _, s := range mine(t, l.Segments(t.Context(), f), func(s segment.SegmentState) segment.ID { return s.Segment }) {
		require.NotNil(t, s.Submitted)
		ids = append(ids, s.Segment)
	}
	return ids
}

// A run that waits for its store is kept whole, found, and given up for the next one in
// one step with what is recorded.
func testSubmitted(t *testing.T, l segment.Ledger) {
	a, b, none := own(t, "a"), own(t, "b"), own(t, "none")
	put(t, l, a, "before", 2)
	put(t, l, none, "before", 2)
	generation := row(t, l, a).Generation
	r := submitted(a, "r", 1<<40)
	require.NoError(t, l.Record(t.Context(), r))
	require.NoError(t, l.Record(t.Context(), submitted(b, "r", 1<<40)))
	require.Equal(t, generation+1, row(t, l, a).Generation, "it wrote into what is live")
	s := known(t, l, a)
	require.NotNil(t, s.Submitted, "somebody has to settle it")
	want := *r.Submitted
	want.Before = &validate.Size{Users: 2, At: start.AddDate(0, 0, 2)}
	want.Before.Read, want.Before.Counter = s.Submitted.Before.Read, s.Submitted.Before.Counter
	require.Equal(t, &want, s.Submitted, "whoever settles it has nothing else")
	require.Equal(t, segment.RunSubmitted, s.Last.State)
	require.Nil(t, s.Live, "nobody knows what is live")
	require.Equal(t, []segment.ID{a, b}, selectSubmitted(t, l, segment.SegmentFilter{}))
	require.Equal(t, []segment.ID{b}, selectSubmitted(t, l, segment.SegmentFilter{After: a.In("")}))

	require.NoError(t, l.Change(t.Context(), []segment.Key{b.In("")}, func(s *segment.SegmentState) error {
		s.Submitted = nil
		return nil
	}))
	require.Equal(t, []segment.ID{a}, selectSubmitted(t, l, segment.SegmentFilter{}), "it was given up")
	put(t, l, a, "later", 4, func(r *segment.Record) { r.Number = 1<<40 + 1 })
	require.Empty(t, selectSubmitted(t, l, segment.SegmentFilter{}), "the later run took its place")
	var states []segment.RunState
	for e, err := range l.Log(t.Context(), segment.LogFilter{Segment: a, RunID: "r"}) {
		require.NoError(t, err)
		states = append(states, e.Record.State)
	}
	require.Equal(t, []segment.RunState{segment.RunSubmitted, segment.RunOvertaken}, states, "and the log says so")

	require.NoError(t, l.Record(t.Context(), submitted(a, "next", 1<<40+2)))
	require.Equal(t, []segment.ID{a}, selectSubmitted(t, l, segment.SegmentFilter{}))
	put(t, l, a, "next", 6, func(r *segment.Record) { r.Number = 1<<40 + 2 })
	require.Empty(t, selectSubmitted(t, l, segment.SegmentFilter{}), "it is settled")
	require.True(t, slices.ContainsFunc(known(t, l, a).Sizes, func(s validate.Size) bool { return s.Users == 6 }))
}
