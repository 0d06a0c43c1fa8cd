package segment_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
)

// TestIncompleteButNotStopped: a run that was told to stop after its last step
// was stopped by nothing; what is missing is what the plan could not hold.
func TestIncompleteButNotStopped(t *testing.T) {
	p, err := segment.PlanReruns([]segment.Job{
		segment.Copy(name(1), name(0)), segment.Copy(name(3), name(2)), segment.Copy(name(2), name(3)),
	}, []segment.Affected{{ID: name(1)}, {ID: name(2)}})
	require.NoError(t, err)
	require.Len(t, p.Steps, 1)
	require.Len(t, p.Conflicts, 1)
	ctx, cancel := context.WithCancelCause(t.Context())
	outcome, err := p.Run(ctx, segment.RunOptions{}, func(context.Context, segment.Job) error {
		cancel(errDown)
		return nil
	})
	require.Len(t, outcome.Done, 1)
	incomplete, ok := errors.AsType[*segment.IncompleteError](err)
	require.True(t, ok, "%v", err)
	require.NoError(t, incomplete.Err)
	require.NotErrorIs(t, err, errDown)
	require.Empty(t, incomplete.Unwrap())
	require.ErrorContains(t, err, "1 conflict to solve")
}

// TestIncompleteCauses: why the run was stopped, and why each step failed.
func TestIncompleteCauses(t *testing.T) {
	broken := errors.New("broken")
	e := &segment.IncompleteError{Err: errDown, Outcome: segment.Outcome{Failed: []segment.Result{{Job: "a", Err: broken}, {Job: "b"}}}}
	require.Equal(t, []error{errDown, broken}, e.Unwrap())
	e.Err = nil
	require.Equal(t, []error{broken}, e.Unwrap())
	require.ErrorContains(t, e, "a: broken (and 1 more)")
}

// TestPlanJSONComparesEachConflict: a plan of which any conflict lists other
// steps than its jobs make is none.
func TestPlanJSONComparesEachConflict(t *testing.T) {
	p, err := segment.PlanReruns([]segment.Job{
		segment.Copy(name(1), name(0)), segment.Copy(name(0), name(1)),
		segment.Copy(name(3), name(2)), segment.Copy(name(2), name(3)), segment.Copy(name(4), name(3)),
	}, []segment.Affected{{ID: name(0)}, {ID: name(2)}})
	require.NoError(t, err)
	require.Len(t, p.Conflicts, 2)
	good, err := json.Marshal(p)
	require.NoError(t, err)
	for _, edit := range []func(*segment.Plan){
		func(p *segment.Plan) { p.Conflicts[1].Steps[0].After = []string{"x"} },
		func(p *segment.Plan) { p.Conflicts[len(p.Conflicts)-1].HoldsUp[0].After = []string{"x"} },
		func(p *segment.Plan) { p.Conflicts[1].Kind = segment.ConflictWriters },
	} {
		var bad segment.Plan
		require.NoError(t, json.Unmarshal(good, &bad))
		edit(&bad)
		text, err := json.Marshal(bad)
		require.NoError(t, err)
		require.ErrorContains(t, json.Unmarshal(text, new(segment.Plan)), "conflicts[1].")
	}
}

// TestPlanTextTellsTheLongestChain: each step is one longer than the longest
// that it waits for.
func TestPlanTextTellsTheLongestChain(t *testing.T) {
	p, err := segment.PlanReruns([]segment.Job{
		segment.Copy(name(1), name(0)), segment.Copy(name(2), name(1)), segment.Copy(name(3), name(2)), segment.Copy(name(4), name(1)),
	}, []segment.Affected{{ID: name(1)}})
	require.NoError(t, err)
	require.Contains(t, p.String(), "1 can start at once; the longest chain has 3 steps.")
}

// TestStepThatWaitsForItself is no plan: it would never start.
func TestStepThatWaitsForItself(t *testing.T) {
	p, err := segment.PlanReruns([]segment.Job{segment.Copy(name(1), name(0))}, []segment.Affected{{ID: name(1)}})
	require.NoError(t, err)
	p.Steps[0].After = []string{p.Steps[0].Job.ID}
	_, err = p.Run(t.Context(), segment.RunOptions{}, func(context.Context, segment.Job) error { return nil })
	require.ErrorContains(t, err, "Plan.Steps[0].After")
	require.ErrorContains(t, err, "want a step that comes before it")
}

// TestLongestChainOfSeveral: a step is as deep as the deepest that it waits for,
// whichever that is.
func TestLongestChainOfSeveral(t *testing.T) {
	both := segment.Lookalike(name(9), name(3))
	both.From = []segment.ID{name(3), name(5)}
	p, err := segment.PlanReruns([]segment.Job{
		segment.Copy(name(1), name(0)), segment.Copy(name(2), name(1)), segment.Copy(name(3), name(2)),
		segment.Copy(name(5), name(4)), segment.Copy(name(7), name(6)), both,
	}, []segment.Affected{{ID: name(1), Users: 100}, {ID: name(2), Users: 100}, {ID: name(3), Users: 100}, {ID: name(5), Users: 50}, {ID: name(7), Users: 40}})
	require.NoError(t, err)
	require.Contains(t, p.String(), "the longest chain has 4 steps.", "%s", p)
}
