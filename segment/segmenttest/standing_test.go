package segmenttest

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// ModelFindsTwoThirds is a fall that validate.Policy.Relearn says it lets through.
var ModelFindsTwoThirds = Fault{
	name: "ModelFindsTwoThirds",
	set: set(func(broken *flaws) {
		broken.unlike = func(users []string) []string {
			return without(users, func(i int, _ string) bool { return i%3 == 1 })
		}
	}),
	want: found(validate.Short, validate.Dropped),
}

// believing returns a job that takes the model's word for how many users there should be.
func believing(p validate.Policy) variant {
	return variant{
		rule: segment.Rule{Lag: waits, Policy: p}, models: true,
		edit: func(r *segment.Run, wrote *validate.Digest) {
			r.Expected, r.Read, r.Written = validate.Count(wrote.Users()), validate.Summary{}, validate.Summary{}
		},
	}
}

// TestStanding: with a history a job that believes its model fails for three weeks, under a
// rule that relearns, and its repair passes.
func TestStanding(t *testing.T) {
	v := believing(validate.Policy{Relearn: 7})
	TestJob(t, v.job, ModelFindsHalf.Standing(21), ModelFindsNobody.Standing(9), StopsAt10000.With(UploadsNothing).Standing(2), LagsAWhile.Standing(2))
	TestJob(t, (&variant{rule: segment.Rule{Lag: waits, Policy: validate.Policy{Relearn: 7}}}).job, StopsAtOddNumber.Standing(9), ShowsYesterday.Standing(2), CommitFails.Standing(2))
}

// TestStandingGoesThrough: what relearning lets through is said, with the night.
func TestStandingGoesThrough(t *testing.T) {
	never, relearns := believing(validate.Policy{}), believing(validate.Policy{Relearn: 7})
	f := ModelFindsTwoThirds.Standing(9)
	require.Equal(t, "ModelFindsTwoThirds.Standing(9)", f.String())
	require.Empty(t, problems(t, never.job, []Fault{f}))
	require.Contains(t, problems(t, relearns.job, []Fault{f})[f.String()], "on night 8 of the fault: the fault went through: the job reported success")
	broken := variant{counted: true, rule: segment.Rule{Mode: segment.Observe}}
	require.Contains(t, problems(t, broken.job, []Fault{LosesShard.Standing(2)})["LosesShard.Standing(2)"], "on night 1 of the fault: the fault went through")
	for _, f := range []Fault{OlderAttempt.Standing(3), LosesShard.Standing(-1)} {
		require.Contains(t, problems(t, never.job, []Fault{f})[f.String()], "it cannot stand")
	}
}

// TestStandingStill: a job that never passes again after a fault is found by its repair.
func TestStandingStill(t *testing.T) {
	v := believing(validate.Policy{})
	stuck := v.job
	f := ModelFindsHalf.Standing(2)
	said := problems(t, func(ctx context.Context, s *Store) error {
		if s.Run().ID == "night-13" {
			return errors.New("still stuck")
		}
		return stuck(ctx, s)
	}, []Fault{f})
	require.Contains(t, said[f.String()], "repaired, after the fault: the job failed where it should have passed")
}
