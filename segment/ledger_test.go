package segment_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestAttemptFilter: each bound is one of its own.
func TestAttemptFilter(t *testing.T) {
	at := time.Date(2024, 3, 18, 12, 0, 0, 0, time.UTC)
	r := segment.Record{Build: "7", JobKind: segment.JobKindCopy, At: at}
	for _, c := range []struct {
		filter segment.LogFilter
		want   bool
	}{
		{segment.LogFilter{}, true},
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
		require.Equal(t, c.want, c.filter.Match(&r), "%+v", c.filter)
	}
}

// TestWordsHaveProblems: what a human or another tool says is refused where
// something is missing, by the field's name.
func TestWordsHaveProblems(t *testing.T) {
	now := time.Now()
	id := segment.ID{SiteGroup: "a", Name: "x"}
	sizes := func(s validate.Size) segment.SizeImport {
		return segment.SizeImport{Segment: id, Sizes: []validate.Size{{Users: 1, At: now}, s}}
	}
	for field, err := range map[string]error{
		"Acceptance.Run":              segment.Acceptance{By: "ann", Why: "right", At: now}.Validate(),
		"Acceptance.By":               segment.Acceptance{RunID: "1", Why: "right", At: now}.Validate(),
		"Suspicion.Why":               segment.Suspicion{RunID: "1", By: "ann", At: now}.Validate(),
		"Suspicion.At":                segment.Suspicion{RunID: "1", By: "ann", Why: "wrong"}.Validate(),
		"Imported.Segment is empty":   segment.SizeImport{}.Validate(),
		"Imported.Segment is \"a/\\x": segment.SizeImport{Segment: segment.ID{SiteGroup: "a", Name: "\xff"}}.Validate(),
		"Imported.Sizes.At":           sizes(validate.Size{Users: 1}).Validate(),
		"Imported.Sizes is {-1":       sizes(validate.Size{Users: -1, At: now}).Validate(),
		"Imported.Sizes is {1 -1":     sizes(validate.Size{Users: 1, Read: -1, At: now}).Validate(),
	} {
		require.ErrorContains(t, err, field)
	}
	require.NoError(t, segment.Acceptance{RunID: "1", By: "ann", Why: "right", At: now}.Validate())
	require.NoError(t, sizes(validate.Size{At: now}).Validate(), "no users are a size")
}
