package enginetest_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/ledgertest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

func TestLedgers(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h := d.History(t)
		ledgertest.TestLedger(t, func(*testing.T) segment.Ledger { return h })
	})
}

// In a transaction the same contract holds.
func TestRecorderInTransactions(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		ledgertest.TestRecorder(t, func(t *testing.T) segment.Recorder {
			db := d.Open(t)
			h, err := sqlsegment.NewLedger(db, d.Dialect)
			require.NoError(t, err)
			require.NoError(t, h.Migrate(t.Context()))
			tx, err := db.BeginTx(t.Context(), nil)
			require.NoError(t, err)
			t.Cleanup(func() { _ = tx.Rollback() })
			return h.Tx(tx)
		})
	})
}

// Plans that are kept and changed in a transaction are, too.
func TestPlansInTransactions(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		d.History(t)
		ledgertest.TestPlanLedger(t, func(t *testing.T) segment.PlanLedger {
			db := d.Open(t)
			h, err := sqlsegment.NewLedger(db, d.Dialect)
			require.NoError(t, err)
			tx, err := db.BeginTx(t.Context(), nil)
			require.NoError(t, err)
			t.Cleanup(func() { _ = tx.Rollback() })
			return h.Tx(tx)
		})
	})
}

var start = time.Date(2024, 3, 18, 10, 44, 0, 0, time.UTC)

// rec is a record of the segment "g/s", a day after the one of n users less 1.
func rec(run string, attempt int, state segment.RunState, n int64) segment.Record {
	return segment.Record{
		Segment: segment.ID{SiteGroup: "g", Name: "s"}, RunID: run, Attempt: attempt, State: state,
		JobID: "copy site-a/cars to g/s", JobKind: segment.JobKindCopy, Build: "v1",
		Users: n, Read: n + 1, At: start.AddDate(0, 0, int(n)), Report: new(report(true)),
	}
}

// report is one that passed, or not.
func report(passed bool) validate.Report {
	stored := int64(5)
	if !passed {
		stored = 4
	}
	r, _ := validate.Check(context.Background(), validate.Policy{}, validate.Output{
		Name: "g/s", Expected: validate.Count(5), Stored: validate.Count(stored),
	})
	return r
}

func with(r segment.Record, change func(*segment.Record)) segment.Record {
	change(&r)
	return r
}

// users are a segment's last sizes, each checked for all that rec gave it.
func users(t *testing.T, h segment.Recorder, id segment.ID, n int) (counts []int64) {
	t.Helper()
	s, err := h.State(t.Context(), id.In(""))
	require.NoError(t, err)
	sizes := s.Sizes[max(0, len(s.Sizes)-n):]
	for i, size := range sizes {
		require.False(t, i > 0 && size.At.Before(sizes[i-1].At), "sizes are not in order of time: %v", sizes)
		counts = append(counts, size.Users)
	}
	return counts
}
