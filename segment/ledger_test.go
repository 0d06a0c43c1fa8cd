package segment_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestLogFilter: each bound is one of its own.
func TestLogFilter(t *testing.T) {
	at := time.Date(2024, 3, 18, 12, 0, 0, 0, time.UTC)
	id := segment.ID{SiteGroup: "a", Name: "x"}
	r := segment.Record{Segment: id, RunID: "1", Build: "7", JobKind: segment.JobKindCopy, At: at}
	e := segment.LogEntry{Segment: id, RunID: "1", At: at, Action: segment.ActionRecorded, Record: &r}
	for _, c := range []struct {
		filter segment.LogFilter
		want   bool
	}{
		{segment.LogFilter{}, true},
		{segment.LogFilter{Segment: id}, true},
		{segment.LogFilter{Segment: segment.ID{SiteGroup: "a", Name: "y"}}, false},
		{segment.LogFilter{RunID: "1"}, true},
		{segment.LogFilter{RunID: "2"}, false},
		{segment.LogFilter{Build: "7"}, true},
		{segment.LogFilter{Build: "8"}, false},
		{segment.LogFilter{JobKind: segment.JobKindCopy}, true},
		{segment.LogFilter{JobKind: segment.JobKindLookalike}, false},
		{segment.LogFilter{Build: "7", JobKind: segment.JobKindLookalike}, false},
		{segment.LogFilter{Since: at}, true},
		{segment.LogFilter{Since: at.Add(1)}, false},
		{segment.LogFilter{Since: at.Add(-1)}, true},
		{segment.LogFilter{Until: at}, false},
		{segment.LogFilter{Until: at.Add(1)}, true},
		{segment.LogFilter{Since: at, Until: at.Add(1)}, true},
		{segment.LogFilter{Since: at.Add(1), Until: at.Add(2)}, false},
	} {
		require.Equal(t, c.want, c.filter.Match(&e), "%+v", c.filter)
	}
	decision := segment.LogEntry{Segment: id, At: at, Action: segment.ActionAccepted}
	require.False(t, (&segment.LogFilter{Build: "7"}).Match(&decision), "a decision is of no build")
	require.False(t, (&segment.LogFilter{JobKind: segment.JobKindCopy}).Match(&decision), "and of no kind of job")
	require.True(t, (&segment.LogFilter{Segment: id}).Match(&decision))
}

// TestSuperseded: what an attempt may still record, by what is known of its run.
func TestSuperseded(t *testing.T) {
	for _, c := range []struct {
		reason  string
		state   segment.RunState // of attempt 3
		newest  int
		before  segment.RunState
		refused bool
	}{
		{"the first attempt", segment.RunPassed, -1, "", false},
		{"the newest attempt goes on", segment.RunCommitted, 3, segment.RunPassed, false},
		{"a newer attempt is known", segment.RunPassed, 4, "", true},
		{"and keeps it from being committed", segment.RunCommitted, 4, segment.RunPassed, true},
		{"also where it is only observed", segment.RunObserved, 4, "", true},
		{"a fact about it is kept", segment.RunRejected, 4, segment.RunPassed, false},
		{"also that nothing is known", segment.RunUnknown, 4, segment.RunPassed, false},
		{"it is live already", segment.RunCommitted, 3, segment.RunCommitted, true},
		{"and stays so", segment.RunRejected, 3, segment.RunObserved, true},
		{"a commit of unknown outcome worked", segment.RunCommitted, 3, segment.RunUnknown, false},
	} {
		r := segment.Record{Segment: seg("cars"), RunID: "monday", Attempt: 3, State: c.state}
		err := r.Superseded(c.newest, c.before)
		require.Equal(t, c.refused, err != nil, c.reason)
		if c.refused {
			require.ErrorIs(t, err, segment.ErrSuperseded, c.reason)
			require.ErrorContains(t, err, "attempt 3 of run monday", c.reason)
		}
	}
}

// TestValidate: a decision or an import is refused where something is missing, by
// the field's name.
func TestValidate(t *testing.T) {
	now := time.Now()
	id := segment.ID{SiteGroup: "a", Name: "x"}
	sizes := func(s validate.Size) segment.SizeImport {
		return segment.SizeImport{Segment: id, Sizes: []validate.Size{{Users: 1, At: now}, s}}
	}
	for field, err := range map[string]error{
		"Decision.By":                   segment.Decision{Why: "right", At: now}.Validate(),
		"Decision.Why":                  segment.Decision{By: "ann", At: now}.Validate(),
		"Decision.At":                   segment.Decision{By: "ann", Why: "wrong"}.Validate(),
		"SizeImport.Segment is empty":   segment.SizeImport{}.Validate(),
		"SizeImport.Segment is \"a/\\x": segment.SizeImport{Segment: segment.ID{SiteGroup: "a", Name: "\xff"}}.Validate(),
		"SizeImport.Sizes.At":           sizes(validate.Size{Users: 1}).Validate(),
		"SizeImport.Sizes is {-1":       sizes(validate.Size{Users: -1, At: now}).Validate(),
		"SizeImport.Sizes is {1 -1":     sizes(validate.Size{Users: 1, Read: -1, At: now}).Validate(),
	} {
		require.ErrorContains(t, err, field)
	}
	require.NoError(t, segment.Decision{By: "ann", Why: "right", At: now}.Validate())
	require.NoError(t, sizes(validate.Size{At: now}).Validate(), "no users are a size")
}
