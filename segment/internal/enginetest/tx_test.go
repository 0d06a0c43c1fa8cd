package enginetest_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

var idS = segment.ID{SiteGroup: "g", Name: "s"}

func TestTxIsVisibleWhenCommitted(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h, db := d.History(t), d.Open(t)
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, h.Tx(tx).Record(t.Context(), rec("r", 1, segment.RunCommitted, 1)))
		require.Equal(t, []int64{1}, users(t, h.Tx(tx), idS, 9), "inside")
		require.Empty(t, users(t, h, idS, 9), "outside, before the commit")
		require.NoError(t, tx.Commit())
		require.Equal(t, []int64{1}, users(t, h, idS, 9), "outside, after the commit")
	})
}

// A job that was rolled back leaves nothing, not even that its attempt is known.
func TestTxRolledBackLeavesNoRecord(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h, db := d.History(t), d.Open(t)
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, h.Tx(tx).Record(t.Context(), rec("r", 7, segment.RunCommitted, 1)))
		require.NoError(t, tx.Rollback())
		require.Empty(t, users(t, h, idS, 9))
		for _, table := range []string{"segmentguard_segments", "segmentguard_log"} {
			require.Zero(t, number(t, db, "SELECT count(*) FROM "+table), table)
		}
		require.NoError(t, h.Record(t.Context(), rec("r", 1, segment.RunCommitted, 2)))
	})
}

// A job that ends its own transaction, as it did before it had a guard, is told so: what it
// wrote may be live, and was never verified.
func TestJobEndsItsTransaction(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h, db := d.History(t), d.Open(t)
		told := &teller{}
		g, err := segment.NewGuard(segment.GuardConfig{Ledger: h, Alerter: told})
		require.NoError(t, err)
		for run, end := range map[string]func(*sql.Tx) error{"commits": (*sql.Tx).Commit, "rolls back": (*sql.Tx).Rollback} {
			tx, err := db.BeginTx(t.Context(), nil)
			require.NoError(t, err)
			require.NoError(t, end(tx))
			_, err = g.Commit(t.Context(), segment.Run{
				ID: run, Job: segment.Copy(idS, segment.ID{SiteGroup: "source", Name: "s"}), Expected: validate.Count(7),
				Stored:  func(context.Context) (validate.Summary, error) { return validate.Count(7), nil },
				Staging: h.Staging(tx),
			})
			_, unknown := errors.AsType[*segment.UnknownError](err)
			require.True(t, unknown, "%s: %v", run, err)
			require.ErrorIs(t, err, segment.ErrTxEnded, run)
			require.ErrorContains(t, err, "leave its commit and its rollback to the guard", run)
			require.False(t, segment.Retryable(err), run)
			s, err := h.State(t.Context(), idS.In(""))
			require.NoError(t, err)
			require.Equal(t, segment.RunUnknown, s.Last.State, run)
			require.Nil(t, s.Live, run)
			require.NotNil(t, s.Alert.Open, "people are told of what may be live and was not verified")
		}
	})
}

func number(t *testing.T, db sqlsegment.Queryer, query string) (n int64) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	require.NoError(t, err)
	defer rows.Close()
	require.True(t, rows.Next(), "%v", rows.Err())
	require.NoError(t, rows.Scan(&n))
	require.False(t, rows.Next())
	require.NoError(t, rows.Err())
	return n
}

// A migration must not wait for jobs, as jobs would then wait for it.
func TestMigrateDoesNotWaitForJobs(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		h, db := d.History(t), d.Open(t)
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, h.Tx(tx).Record(t.Context(), rec("r", 1, segment.RunCommitted, 1)))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		require.NoError(t, h.Migrate(ctx))
		require.NoError(t, tx.Commit())
	})
}

// Under REPEATABLE READ a job cannot see who overtook it, so PostgreSQL must
// refuse, and the caller be told.
func TestTxUnderRepeatableRead(t *testing.T) {
	d := postgreSQL(t)
	h, db := d.History(t), d.Open(t)
	for _, c := range []struct {
		reason string
		seen   segment.Record // recorded elsewhere, after the transaction's snapshot
		mine   segment.Record
	}{
		{"overtaken", rec("r1", 2, segment.RunPassed, 1), rec("r1", 1, segment.RunCommitted, 2)},
		{"the same attempt", rec("r2", 1, segment.RunCommitted, 1), rec("r2", 1, segment.RunCommitted, 2)},
	} {
		tx, err := db.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
		require.NoError(t, err)
		users(t, h.Tx(tx), idS, 9) // takes the snapshot
		require.NoError(t, h.Record(t.Context(), c.seen))
		err = h.Tx(tx).Record(t.Context(), c.mine)
		require.ErrorContains(t, err, "SQLSTATE 40001", c.reason)
		require.NoError(t, tx.Rollback())
	}
}

func postgreSQL(t testing.TB) enginetest.Database {
	t.Helper()
	return enginetest.PostgreSQL.New(t)
}
