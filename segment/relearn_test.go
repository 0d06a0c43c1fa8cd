package segment_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestRelearnedAfterAdmit: where ids are mapped, a job that asks before its first write
// what will come of it learns a new level by what it read, and its Commit by what is
// there of that. A rate that is off its own history is not learned along.
func TestRelearnedAfterAdmit(t *testing.T) {
	for _, c := range []struct {
		name   string
		known  func(*segment.Run, validate.Summary) // before the first write
		stored int64
		want   validate.Kind
	}{
		{"what is read", func(r *segment.Run, n validate.Summary) { r.Read = n }, 4200, ""},
		{"what is expected", func(r *segment.Run, n validate.Summary) { r.Expected = n }, 4200, ""},
		{"a rate off its own history", func(r *segment.Run, n validate.Summary) { r.Read = n }, 2500, validate.Dropped},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLoop(t)
			l.rule.Policy = validate.Policy{Relearn: 7, Mapping: validate.Ratio{Min: 0.2, Max: 0.95}}
			i := segment.SizeImport{Segment: cars}
			for n := -40; n < 0; n++ {
				i.Sizes = append(i.Sizes, validate.Size{Users: 6000, Read: 12_000, At: night(n)})
			}
			require.NoError(t, segment.Import(t.Context(), l.ledger, []segment.SizeImport{i}))
			guard, err := segment.NewGuard(segment.GuardConfig{Ledger: l.ledger, Alerter: l.alerter, Rules: l.config.Rules, Now: l.config.Now})
			require.NoError(t, err)
			for n := range 9 {
				l.now = night(n)
				run := segment.Run{
					ID: fmt.Sprint("night ", n), Job: segment.Job{ID: "map", Kind: segment.JobKindLookalike, To: cars}, Expected: unknown,
					Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(c.stored), nil },
					Staging: segment.Staging{Commit: func(context.Context) error { return nil }},
				}
				require.NoError(t, guard.Begin(t.Context(), &run))
				c.known(&run, validate.Count(8400))
				_, err := guard.Admit(t.Context(), run)
				if n < 7 {
					require.ErrorIs(t, err, validate.Dropped)
					continue
				}
				require.NoError(t, err)
				run.Read, run.Written = validate.Count(8400), validate.Count(c.stored)
				_, err = guard.Commit(t.Context(), run)
				if c.want != "" {
					require.ErrorIs(t, err, c.want)
					return
				}
				require.NoError(t, err)
			}
		})
	}
}
