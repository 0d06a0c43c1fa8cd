package enginetest_test

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// A transaction that meets another one, of any job, is overtaken and no news, also
// where it meets it while users are counted, or in its commit.
func TestTransactionsThatMeet(t *testing.T) {
	d := postgreSQL(t)
	h, db := d.History(t), d.Open(t)
	execute(t, db, "CREATE TABLE a (id integer)")
	execute(t, db, "CREATE TABLE b (id integer)")
	execute(t, db, "INSERT INTO a SELECT generate_series(1, 5)")
	serializable := func() *sql.Tx {
		tx, err := db.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelSerializable})
		require.NoError(t, err)
		t.Cleanup(func() { _ = tx.Rollback() })
		return tx
	}
	told := &teller{}
	g, err := segment.NewGuard(segment.GuardConfig{Ledger: h, Alerter: told})
	require.NoError(t, err)
	for _, at := range []string{"stored", "commit"} {
		mine, other := serializable(), serializable()
		for tx, from := range map[*sql.Tx]string{mine: "a", other: "b"} { // each reads what the other one writes
			number(t, tx, "SELECT count(*) FROM "+from)
		}
		_, err := mine.ExecContext(t.Context(), "INSERT INTO b VALUES (1)")
		require.NoError(t, err)
		_, err = other.ExecContext(t.Context(), "INSERT INTO a VALUES (6)")
		require.NoError(t, err)
		meet := func() { require.NoError(t, other.Commit()) }
		run := fiveUsers(at, h.Staging(mine))
		count := sqlsegment.Users{Dialect: d.Dialect, Query: "SELECT id FROM a WHERE id <= 5", Method: sqlsegment.Count}
		run.Stored = func(ctx context.Context) (validate.Summary, error) {
			if at == "stored" {
				meet()
			}
			return count.Summarize(ctx, mine)
		}
		commit := run.Staging.Commit
		run.Staging.Commit = func(ctx context.Context) error {
			if at == "commit" {
				meet()
			}
			return commit(ctx)
		}
		_, err = g.Commit(t.Context(), run)
		require.ErrorIs(t, err, segment.ErrOvertaken, at)
		require.ErrorContains(t, err, "SQLSTATE 40001", at)
		require.True(t, segment.Retryable(err), at)
		for e, err := range h.Log(t.Context(), segment.LogFilter{RunID: at, Action: segment.ActionRecorded}) {
			require.NoError(t, err)
			require.Equal(t, segment.RunOvertaken, e.Record.State)
		}
	}
	require.Equal(t, []int{0, 0}, told.news())
}

// A name that no index takes is never tried again.
func TestNamesTooLong(t *testing.T) {
	d := postgreSQL(t)
	h := d.History(t)
	random := rand.New(rand.NewPCG(1, 1))
	var name strings.Builder // which no compression makes short
	for range 2000 {
		name.WriteString(strconv.FormatUint(random.Uint64(), 36))
	}
	run := fiveUsers(name.String(), segment.Staging{Commit: func(context.Context) error { return nil }})
	_, err := impatient(t, h, &teller{}).Commit(t.Context(), run)
	require.ErrorIs(t, err, validate.Unverified)
	require.False(t, segment.Retryable(err))
}

// The server ends a job's transaction that holds a segment and says nothing for five
// minutes, or for as long as the session says.
func TestIdleTransactionsEnd(t *testing.T) {
	d := postgreSQL(t)
	h, db := d.History(t), d.Open(t)
	for told, want := range map[string]string{"": "5min", "SET LOCAL idle_in_transaction_session_timeout = '7s'": "7s"} {
		tx := opened(t, db)
		_, err := tx.ExecContext(t.Context(), told)
		require.NoError(t, err)
		require.NoError(t, h.Tx(tx).Lock(t.Context(), idS.In(""), func(*segment.CommitRow) error { return nil }))
		var got string
		require.NoError(t, tx.QueryRowContext(t.Context(), "SHOW idle_in_transaction_session_timeout").Scan(&got))
		require.Equal(t, want, got)
		require.NoError(t, tx.Rollback())
		require.NoError(t, db.QueryRowContext(t.Context(), "SHOW idle_in_transaction_session_timeout").Scan(&got))
		require.Equal(t, "0", got, "of the transaction alone")
	}
}
