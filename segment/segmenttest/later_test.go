package segmenttest

import (
	"context"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A submitter is a job that uploads, submits and is settled.
type submitter struct {
	counts  bool // users, and does not digest them
	forgets bool // to settle
	trusts  bool // what it read in place of the source
}

func (v submitter) job(ctx context.Context, s *Store) error {
	guard, err := segment.NewGuard(s.Config())
	if err != nil {
		return err
	}
	run := s.Run()
	run.Live = true
	_, err = guard.Do(ctx, run, func(ctx context.Context, run *segment.Run) (err error) {
		if run.Expected, err = s.Summarize(ctx); err != nil {
			return err
		}
		var read validate.Digest
		for page, err := range s.Pages(ctx) {
			if err != nil {
				return err
			}
			read.AddStrings(page)
			if err := s.Audience().Upload(ctx, page); err != nil {
				return err
			}
		}
		run.Read = read.Summary()
		if v.trusts {
			run.Expected, run.Read = validate.Count(read.Users()), validate.Summary{}
		}
		return guard.Submit(ctx, *run, time.Now().Add(24*time.Hour))
	})
	return err
}

func (v submitter) settle(ctx context.Context, s *Store) error {
	if v.forgets {
		return nil
	}
	guard, err := segment.NewGuard(s.Config())
	if err != nil {
		return err
	}
	_, err = guard.Settle(ctx, func(ctx context.Context, _ segment.Submitted) (validate.Summary, error) {
		if v.counts {
			return s.Audience().Count(ctx)
		}
		return s.Audience().Summarize(ctx)
	})
	return err
}

func (v submitter) problems(t *testing.T) map[string]string {
	said := map[string]string{}
	for _, f := range append([]Fault{healthy}, LaterFaults()...) {
		synctest.Test(t, func(t *testing.T) {
			if problem := tryLater(t.Context(), v.job, v.settle, f); problem != "" {
				said[f.String()] = problem
			}
		})
	}
	return said
}

func TestRightSubmitter(t *testing.T) {
	v := submitter{}
	TestLater(t, v.job, v.settle)
}

// TestWrongSubmitters has jobs that are wrong each in its way.
func TestWrongSubmitters(t *testing.T) {
	said := submitter{forgets: true}.problems(t)
	require.Contains(t, said["Healthy"], "site-b/cars waits for its store still")

	said = submitter{counts: true}.problems(t)
	require.ElementsMatch(t, []string{"LowersIDs", "TrimsIDs", "HashesIDs", "ShowsYesterday"}, slices.Collect(maps.Keys(said)), "numbers do not tell which users there are: %v", said)

	said = submitter{trusts: true}.problems(t)
	require.Contains(t, said["StopsAt10000"], "the fault went through: the job reported success, and so did settling it, want an error that is capped. Live are 10,000 users where 12,310 users should be: 2,310 users missing.")

	synctest.Test(t, func(t *testing.T) {
		require.Contains(t, tryLater(t.Context(), submitter{}.job, submitter{}.settle, OlderAttempt), "take one of LaterFaults")
	})
}
