package enginetest_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// TestAdoption runs the code of the README on every engine: the copy from one
// database into another, and the copy whose size is recorded in its transaction.
// Only the dialect differs.
func TestAdoption(t *testing.T) {
	from, to := segment.ID{SiteGroup: "site-a", Name: "cars"}, segment.ID{SiteGroup: "site-b", Name: "cars"}
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		ledger := d.History(t)
		guard, err := segment.NewGuard(segment.GuardConfig{Ledger: ledger})
		require.NoError(t, err)
		users := sqlsegment.Users{Dialect: d.Dialect, Query: "SELECT id FROM cars"}
		copied := sqlsegment.Users{Dialect: d.Dialect, Query: "SELECT id FROM copied"}
		source := d.ForJobs().Open(t)
		for _, table := range []string{"cars", "copied"} {
			_, err = source.ExecContext(t.Context(), "CREATE TABLE "+table+" (id varchar(40) PRIMARY KEY)")
			require.NoError(t, err)
		}
		for i := range 2000 {
			_, err = source.ExecContext(t.Context(), d.Bind("INSERT INTO cars VALUES (?)"), fmt.Sprint("user-", i))
			require.NoError(t, err)
		}
		copyCars := func(ctx context.Context, runID string, limit int, staging func(*sql.Tx) segment.Staging) error {
			expected, err := users.Summarize(ctx, source)
			if err != nil {
				return err
			}
			var read validate.Digest
			var ids []string
			for user, err := range validate.Tee(&read, userIDs(ctx, source, limit)) {
				if err != nil {
					return err
				}
				ids = append(ids, user)
			}
			level := sql.LevelDefault
			if d.Dialect == sqlsegment.MySQL {
				level = sql.LevelReadCommitted
			}
			tx, err := source.BeginTx(ctx, &sql.TxOptions{Isolation: level})
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, "DELETE FROM copied")
			for _, id := range ids {
				if err == nil {
					_, err = tx.ExecContext(ctx, d.Bind("INSERT INTO copied VALUES (?)"), id)
				}
			}
			if err != nil {
				return errors.Join(err, tx.Rollback())
			}
			_, err = guard.Commit(ctx, segment.Run{
				ID: runID, Job: segment.Copy(to, from),
				Expected: expected,
				Read:     read.Summary(),
				Stored:   func(ctx context.Context) (validate.Summary, error) { return copied.Summarize(ctx, tx) },
				Staging:  staging(tx),
			})
			return err
		}
		live := func() int64 {
			found, err := copied.Summarize(t.Context(), source)
			require.NoError(t, err)
			return found.Users()
		}
		for i, limit := range []int{2000, 1000} {
			// On SQLite a transaction that writes holds back a ledger in the same file: the
			// ledger records in the transaction.
			if d.Dialect != sqlsegment.SQLite {
				err := copyCars(t.Context(), fmt.Sprint("apart ", i), limit, sqlsegment.Staging)
				require.Equal(t, limit == 2000, err == nil, "%v", err)
			}
			err := copyCars(t.Context(), fmt.Sprint("together ", i), limit, ledger.Staging)
			require.Equal(t, limit == 2000, err == nil, "%v", err)
			require.EqualValues(t, 2000, live(), "what was cut never went live")
			if limit < 2000 {
				require.ErrorIs(t, err, validate.Short)
			}
		}
	})
}

// userIDs yields the ids of cars, and stops at a limit.
func userIDs(ctx context.Context, db *sql.DB, limit int) func(func(string, error) bool) {
	return func(yield func(string, error) bool) {
		rows, err := db.QueryContext(ctx, fmt.Sprintf("SELECT id FROM cars ORDER BY id LIMIT %d", limit))
		if err != nil {
			yield("", err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); !yield(id, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield("", err)
		}
	}
}
