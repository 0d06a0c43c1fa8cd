package segmenttest

import (
	"context"
	"maps"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A changer is a job that adds users to the live segment and removes others.
type changer struct {
	believes bool // that those are gone whom it removed
	reckons  bool // how many there are afterwards, in place of looking
	trusts   bool // what it read in place of the source
}

func (v changer) job(ctx context.Context, s *Store) error {
	guard, err := segment.NewGuard(s.Config())
	if err != nil {
		return err
	}
	change, leaving := s.Change(), s.Leaving()
	run := s.Run()
	run.Stored = change.Added
	run.Delta = &segment.Delta{Removed: validate.Count(int64(len(leaving))), Remaining: change.Remaining, Whole: change.Whole}
	if v.believes {
		run.Delta.Remaining = func(context.Context) (validate.Summary, error) { return validate.Count(0), nil }
	}
	if v.reckons {
		run.Delta.Whole = func(ctx context.Context) (validate.Summary, error) {
			added, err := change.Added(ctx)
			return validate.Count(int64(members-len(leaving)) + added.Users()), err
		}
	}
	run.Staging = segment.Staging{Commit: change.Publish, Discard: change.Discard}
	_, err = guard.Do(ctx, run, func(ctx context.Context, run *segment.Run) (err error) {
		if run.Expected, err = s.Count(ctx); err != nil {
			return err
		}
		var read validate.Digest
		for page, err := range s.Pages(ctx) {
			if err != nil {
				return err
			}
			read.AddStrings(page)
			if err := change.Add(ctx, page); err != nil {
				return err
			}
		}
		run.Read = read.Summary()
		if v.trusts {
			run.Expected, run.Read = validate.Count(read.Users()), validate.Summary{}
		}
		return change.Remove(ctx, leaving)
	})
	return err
}

func (v changer) problems(t *testing.T) map[string]string {
	said := map[string]string{}
	for _, f := range append([]Fault{healthy}, DeltaFaults()...) {
		synctest.Test(t, func(t *testing.T) {
			if problem := tryDelta(t.Context(), v.job, f); problem != "" {
				said[f.String()] = problem
			}
		})
	}
	return said
}

func TestRightChanger(t *testing.T) { TestDelta(t, changer{}.job) }

// TestWrongChangers has jobs that are wrong each in its way.
func TestWrongChangers(t *testing.T) {
	said := changer{believes: true}.problems(t)
	require.ElementsMatch(t, []string{"RemovesNothing", "RemovesHalf"}, slices.Collect(maps.Keys(said)), "%v", said)
	require.Contains(t, said["RemovesNothing"], "the fault went through: the job reported success, want an error that is surplus. Live are 42,310 users where 40,810 users should be: 1,500 users not to be there.")

	said = changer{reckons: true}.problems(t)
	require.ElementsMatch(t, []string{"RemovesTooMany"}, slices.Collect(maps.Keys(said)), "%v", said)
	require.Contains(t, said["RemovesTooMany"], "the fault went through: the job reported success, want an error that is short.")

	said = changer{trusts: true}.problems(t)
	require.ElementsMatch(t, []string{"StopsAt10000", "StopsAtOddNumber", "DropsPage"}, slices.Collect(maps.Keys(said)), "%v", said)

	synctest.Test(t, func(t *testing.T) {
		require.Contains(t, tryDelta(t.Context(), changer{}.job, OlderAttempt), "take one of DeltaFaults")
	})
}
