package rerun_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/rerun"
)

// TestIncompleteButNotStopped: a run that was told to stop after its last step
// was stopped by nothing; what is missing is what the plan could not hold.
func TestIncompleteButNotStopped(t *testing.T) {
	p, err := rerun.New([]segment.Job{
		segment.Copy(name(1), name(0)), segment.Copy(name(3), name(2)), segment.Copy(name(2), name(3)),
	}, []segment.Affected{{Segment: name(1)}, {Segment: name(2)}})
	require.NoError(t, err)
	require.Len(t, p.Steps, 1)
	require.Len(t, p.Conflicts, 1)
	ctx, cancel := context.WithCancelCause(t.Context())
	outcome, err := p.Run(ctx, rerun.RunOptions{}, func(context.Context, segment.Job) error {
		cancel(errDown)
		return nil
	})
	require.Len(t, outcome.Done, 1)
	incomplete, ok := errors.AsType[*rerun.IncompleteError](err)
	require.True(t, ok, "%v", err)
	require.NoError(t, incomplete.Err)
	require.NotErrorIs(t, err, errDown)
	require.Empty(t, incomplete.Unwrap())
	require.ErrorContains(t, err, "1 conflict to solve")
}

// TestIncompleteCauses: why the run was stopped, and why each step failed.
func TestIncompleteCauses(t *testing.T) {
	broken := errors.New("broken")
	e := &rerun.IncompleteError{Err: errDown, Outcome: rerun.Outcome{Failed: []rerun.Result{{JobID: "a", Err: broken}, {JobID: "b"}}}}
	require.Equal(t, []error{errDown, broken}, e.Unwrap())
	e.Err = nil
	require.Equal(t, []error{broken}, e.Unwrap())
	require.ErrorContains(t, e, "a: broken (and 1 more)")
}
