package segment_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestOnlyALookHelps: what a lagging store leads to may be tried again, unless
// the output is live, may be, or has a successor.
func TestOnlyALookHelps(t *testing.T) {
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

// TestStoppedJobIsTold: a job that was told to stop and had lost users all the
// same is news; one that could not be verified because of that is none.
func TestStoppedJobIsTold(t *testing.T) {
	for users, fired := range map[int64]bool{5300: false, 4100: true} {
		b := newBench(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		b.run.Stored = func(context.Context) (validate.Summary, error) {
			cancel(errors.New("told to stop"))
			if fired {
				return validate.Count(users), nil
			}
			return validate.Summary{}, context.Cause(ctx)
		}
		_, err := b.guard().Commit(ctx, b.run)
		require.Error(t, err)
		require.Equal(t, fired, errors.Is(err, validate.Short))
		require.Equal(t, fired, len(b.alerts) > 0, "%d users", users)
	}
}

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

// TestSiteGroupsAreEscaped: an id and its text are one to one, and in the same
// order, wherever the slash stands.
func TestSiteGroupsAreEscaped(t *testing.T) {
	groups := []string{"", "/", "/x", "x/", "%", "%x", "x%", "x", "x-", "x0", "y", "/%", "%/"}
	for _, a := range groups {
		for _, b := range groups {
			one, two := segment.ID{SiteGroup: a, Name: "n"}, segment.ID{SiteGroup: b, Name: "n"}
			byText := 0
			switch {
			case one.String() < two.String():
				byText = -1
			case one.String() > two.String():
				byText = 1
			}
			require.Equal(t, byText, one.Compare(two), "%q and %q", a, b)
		}
	}
}
