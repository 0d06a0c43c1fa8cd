package segment_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A model's output vouches for nothing, so that only its history can tell. Bad
// days are flagged as long as they last, and the day of the repair is not: what
// was rejected never enters a baseline.
func TestBaselinesAreNotPoisoned(t *testing.T) {
	const million = 1_000_000
	for _, c := range []struct {
		name string
		days []int64
		bad  map[int]bool // by day after the good weeks
	}{
		{"capped twice", []int64{10_000, 10_000, million}, map[int]bool{0: true, 1: true}},
		{"empty twice", []int64{0, 0, million}, map[int]bool{0: true, 1: true}},
		{"half twice", []int64{million / 2, million / 2, million}, map[int]bool{0: true, 1: true}},
		{
			"half for a week", []int64{million / 2, million / 2, million / 2, million / 2, million / 2, million / 2, million / 2, million},
			map[int]bool{0: true, 1: true, 2: true, 3: true, 4: true, 5: true, 6: true},
		},
		{"one thirtieth less, day after day", []int64{970_000, 941_000, 913_000, 885_000}, nil},
		{"ten percent growth a day", []int64{1_100_000, 1_210_000, 1_331_000, 1_464_100, 1_610_510}, nil},
		{"doubled", []int64{2 * million, million}, map[int]bool{0: true}},
		{"a constant size, and then a change of half", []int64{million * 3 / 2, million, million / 2}, map[int]bool{0: true, 2: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ledger, alerter := segment.NewMemory(), newRecorder()
				g, err := segment.NewGuard(segment.GuardConfig{Ledger: ledger, Alerter: alerter})
				require.NoError(t, err)
				const weeks = 21
				night := func(i int, users int64) error {
					time.Sleep(24 * time.Hour) // in the test's own time
					_, err := g.Commit(t.Context(), segment.Run{
						ID: fmt.Sprint("night ", i), Job: segment.Lookalike(seg("like"), seg("seed")), Expected: validate.Count(users),
						Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(users), nil },
						Staging: segment.Staging{Commit: func(context.Context) error { return nil }},
					})
					return err
				}
				for i := range weeks {
					require.NoError(t, night(i, million))
				}
				for i, users := range c.days {
					err := night(weeks+i, users)
					if c.bad[i] {
						require.Error(t, err, "day %d of %d users", i, users)
						require.False(t, segment.Retryable(err))
					} else {
						require.NoError(t, err, "day %d of %d users", i, users)
					}
				}
			})
		})
	}
}
