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
	r := segment.Record{Build: "7", Kind: segment.KindCopy, At: at}
	for _, c := range []struct {
		filter segment.AttemptFilter
		want   bool
	}{
		{segment.AttemptFilter{}, true},
		{segment.AttemptFilter{Build: "7"}, true},
		{segment.AttemptFilter{Build: "8"}, false},
		{segment.AttemptFilter{Kind: segment.KindCopy}, true},
		{segment.AttemptFilter{Kind: segment.KindLookalike}, false},
		{segment.AttemptFilter{Build: "7", Kind: segment.KindLookalike}, false},
		{segment.AttemptFilter{Since: at}, true},
		{segment.AttemptFilter{Since: at.Add(1)}, false},
		{segment.AttemptFilter{Since: at.Add(-1)}, true},
		{segment.AttemptFilter{Until: at}, false},
		{segment.AttemptFilter{Until: at.Add(1)}, true},
		{segment.AttemptFilter{Since: at, Until: at.Add(1)}, true},
		{segment.AttemptFilter{Since: at.Add(1), Until: at.Add(2)}, false},
	} {
		require.Equal(t, c.want, c.filter.Match(&r), "%+v", c.filter)
	}
}

// TestWordsHaveProblems: what a human or another tool says is refused where
// something is missing, by the field's name.
func TestWordsHaveProblems(t *testing.T) {
	now := time.Now()
	id := segment.ID{SiteGroup: "a", Name: "x"}
	sizes := func(s validate.Size) segment.Imported {
		return segment.Imported{Segment: id, Sizes: []validate.Size{{Users: 1, At: now}, s}}
	}
	for field, err := range map[string]error{
		"Acceptance.Run":              segment.Acceptance{By: "ann", Why: "right", At: now}.Problem(),
		"Acceptance.By":               segment.Acceptance{Run: "1", Why: "right", At: now}.Problem(),
		"Suspicion.Why":               segment.Suspicion{Run: "1", By: "ann", At: now}.Problem(),
		"Suspicion.At":                segment.Suspicion{Run: "1", By: "ann", Why: "wrong"}.Problem(),
		"Imported.Segment is empty":   segment.Imported{}.Problem(),
		"Imported.Segment is \"a/\\x": segment.Imported{Segment: segment.ID{SiteGroup: "a", Name: "\xff"}}.Problem(),
		"Imported.Sizes.At":           sizes(validate.Size{Users: 1}).Problem(),
		"Imported.Sizes is {-1":       sizes(validate.Size{Users: -1, At: now}).Problem(),
		"Imported.Sizes is {1 -1":     sizes(validate.Size{Users: 1, Read: -1, At: now}).Problem(),
	} {
		require.ErrorContains(t, err, field)
	}
	require.NoError(t, segment.Acceptance{Run: "1", By: "ann", Why: "right", At: now}.Problem())
	require.NoError(t, sizes(validate.Size{At: now}).Problem(), "no users are a size")
}
