package enginetest_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// impatient returns a guard that waits for a second.
func impatient(t *testing.T, h segment.Ledger, alerter segment.Alerter) *segment.Guard {
	t.Helper()
	g, err := segment.NewGuard(segment.GuardConfig{Ledger: h, Alerter: alerter, Timeout: time.Second})
	require.NoError(t, err)
	return g
}

// fiveUsers returns a run that passes.
func fiveUsers(id string, staging segment.Staging) segment.Run {
	return segment.Run{
		ID: id, Job: segment.Copy(idS, segment.ID{Name: "from"}), Expected: validate.Count(5), Staging: staging,
		Stored: func(context.Context) (validate.Summary, error) { return validate.Count(5), nil },
	}
}

func opened(t *testing.T, db *sql.DB) *sql.Tx {
	t.Helper()
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback() })
	return tx
}

// Who waits in vain for a transaction that holds the segment says who that is and
// since when. Records, alerts and other segments do not wait for it.
func TestHolderIsNamed(t *testing.T) {
	for _, e := range []enginetest.Engine{enginetest.PostgreSQL, enginetest.MariaDB} {
		t.Run(e.Name, func(t *testing.T) {
			d := e.New(t)
			h, db := d.History(t), d.Open(t)
			require.NoError(t, h.Record(t.Context(), rec("r", 1, segment.RunCommitted, 1)))
			holding := opened(t, db)
			var connection int64
			require.NoError(t, holding.QueryRowContext(t.Context(), d.SQL("SELECT pg_backend_pid()", "SELECT CONNECTION_ID()")).Scan(&connection))
			before := time.Now().Add(-time.Second).UTC().Truncate(time.Second)
			require.NoError(t, h.Tx(holding).Lock(t.Context(), idS.In(""), func(*segment.CommitRow) error { return nil }))
			told := &teller{}
			for i, way := range []string{"staged", "in its transaction"} {
				waiting := opened(t, db)
				staging := sqlsegment.Staging(waiting)
				if way != "staged" {
					staging = h.Staging(waiting)
				}
				_, err := impatient(t, h, told).Commit(t.Context(), fiveUsers(way, staging))
				require.ErrorIs(t, err, validate.Unverified, way)
				require.ErrorContains(t, err, d.SQL(
					fmt.Sprintf("its commit row is held by a transaction of process %d", connection),
					fmt.Sprintf("the oldest transaction that holds locks is of connection %d, ", connection)))
				var since string
				for day := before; day.Before(time.Now().Add(time.Second)); day = day.Add(time.Second) {
					if strings.Contains(err.Error(), ", since "+day.Format(time.RFC3339)) {
						since = day.String()
					}
				}
				require.NotEmpty(t, since, "%v", err)
				require.True(t, segment.Retryable(err))
				states := 0
				for e, err := range h.Log(t.Context(), segment.LogFilter{Segment: idS, RunID: way}) {
					require.NoError(t, err)
					if e.Record != nil { // else it is of the alert
						require.Equal(t, segment.RunRejected, e.Record.State)
						states++
					}
				}
				require.Equal(t, 1, states, "recorded all the same")
				require.Equal(t, []int{1 - i, 0}, told.news(), "and told")
			}
			other := fiveUsers("other", segment.Staging{Commit: func(context.Context) error { return nil }})
			other.Job.To.Name = "other"
			_, err := impatient(t, h, told).Commit(t.Context(), other)
			require.NoError(t, err)
		})
	}
}

// Eight jobs in transactions on a pool of four connections, with the ledger on the
// same pool, all go live or are rejected.
func TestJobsOnTheLedgersPool(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		db := d.ForJobs().Open(t)
		db.SetMaxOpenConns(4)
		h, err := sqlsegment.NewLedger(db, d.Dialect)
		require.NoError(t, err)
		require.NoError(t, h.Migrate(t.Context()))
		g, err := segment.NewGuard(segment.GuardConfig{Ledger: h, Alerter: &teller{}})
		require.NoError(t, err)
		level := &sql.TxOptions{Isolation: sql.LevelReadCommitted}
		if d.Dialect == sqlsegment.SQLite {
			level = nil
		}
		var jobs sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			jobs.Go(func() {
				errs[i] = inPool(t.Context(), g, h, db, i, level)
			})
		}
		jobs.Wait()
		for i, err := range errs {
			if i%2 == 0 {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, validate.Short)
				require.NotErrorIs(t, err, segment.ErrBusy)
			}
		}
		require.Zero(t, db.Stats().InUse)
	})
}

// inPool runs a job in a transaction of the pool; every other one loses a user.
func inPool(ctx context.Context, g *segment.Guard, h *sqlsegment.Ledger, db *sql.DB, i int, level *sql.TxOptions) error {
	run := fiveUsers("r", segment.Staging{})
	run.Job.To.Name = fmt.Sprint(i)
	run.Expected = validate.Count(5 + int64(i%2))
	if err := g.Begin(ctx, &run); err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, level)
	if err != nil {
		return err
	}
	run.Staging = h.Staging(tx)
	_, err = g.Commit(ctx, run)
	return err
}

// Where all connections are taken by those who wait for one more, the guard says
// so, and what to do.
func TestPoolWithoutAConnectionLeft(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		db := d.Open(t)
		db.SetMaxOpenConns(2)
		h, err := sqlsegment.NewLedger(db, d.Dialect)
		require.NoError(t, err)
		require.NoError(t, h.Migrate(t.Context()))
		opened(t, db)
		tx := opened(t, db)
		const want = "2 of 2 connections are in use; give the ledger a pool of its own"
		g := impatient(t, h, &teller{})
		run := fiveUsers("r", sqlsegment.Staging(tx))
		err = g.Begin(t.Context(), &run)
		require.ErrorIs(t, err, segment.ErrBusy)
		require.ErrorContains(t, err, want)
		_, err = g.Commit(t.Context(), run)
		require.ErrorIs(t, err, validate.Unverified)
		require.ErrorContains(t, err, want)
		var states []segment.RunState
		for e, err := range h.Log(t.Context(), segment.LogFilter{Segment: idS}) {
			require.NoError(t, err)
			if e.Record != nil { // else it is of the alert
				states = append(states, e.Record.State)
			}
		}
		require.Equal(t, []segment.RunState{segment.RunRejected}, states, "recorded once the job gave its connection back")
	})
}

// A job that failed has the commit row, and those who wait for it got all connections
// of the pool just when its guard was about to record that: it lets go first.
func TestPoolTakenByThoseWhoWait(t *testing.T) {
	for _, e := range []enginetest.Engine{enginetest.PostgreSQL, enginetest.MariaDB} {
		t.Run(e.Name, func(t *testing.T) {
			db := e.New(t).Open(t)
			db.SetMaxOpenConns(2)
			h, err := sqlsegment.NewLedger(db, e.Dialect)
			require.NoError(t, err)
			require.NoError(t, h.Migrate(t.Context()))
			told := &teller{}
			g, err := segment.NewGuard(segment.GuardConfig{Ledger: h, Alerter: told, Timeout: time.Hour})
			require.NoError(t, err)
			run := fiveUsers("r", segment.Staging{})
			require.NoError(t, g.Begin(t.Context(), &run))
			run.Staging = h.Staging(opened(t, db))
			run.Staging.Tx = struct{ segment.Recorder }{run.Staging.Tx} // that no connection is left comes too late to be noticed
			next := make(chan error)
			run.Stored = func(ctx context.Context) (validate.Summary, error) {
				waiting, err := db.BeginTx(ctx, nil)
				go func() {
					defer waiting.Rollback()
					next <- h.Tx(waiting).Lock(ctx, idS.In(""), func(*segment.CommitRow) error { return nil })
				}()
				return validate.Count(4), err
			}
			_, err = g.Commit(t.Context(), run)
			require.ErrorIs(t, err, validate.Short)
			require.NotErrorIs(t, err, validate.Unverified)
			require.NoError(t, <-next)
			require.Equal(t, int64(1), number(t, db, "SELECT count(*) FROM segmentguard_log WHERE state = 'rejected'"))
			require.Equal(t, []int{1, 0}, told.news(), "once, and not as one that the ledger does not keep")
			for s, err := range h.Segments(t.Context(), segment.SegmentFilter{Affected: true}) {
				require.NoError(t, err)
				require.False(t, s.Alert.Pending())
			}
		})
	}
}

// A ledger in the file of a job that writes, but not in its transaction: the guard
// says what to do. It ends the transaction first, and then records.
func TestLedgerInTheJobsFile(t *testing.T) {
	for _, e := range []enginetest.Engine{enginetest.SQLite, enginetest.SQLiteWAL} {
		t.Run(e.Name, func(t *testing.T) {
			d := e.New(t)
			h, db := d.History(t), d.ForJobs().Open(t)
			execute(t, db, "CREATE TABLE users (id integer)")
			told := &teller{}
			tx := opened(t, db)
			_, err := tx.ExecContext(t.Context(), "INSERT INTO users VALUES (1)")
			require.NoError(t, err)
			_, err = impatient(t, h, told).Commit(t.Context(), fiveUsers("r", sqlsegment.Staging(tx)))
			require.ErrorIs(t, err, validate.Unverified)
			require.ErrorIs(t, err, segment.ErrBusy)
			require.ErrorContains(t, err, "if it is the job's own, record in it (Ledger.Staging), or give the ledger a file of its own")
			require.Zero(t, number(t, db, "SELECT count(*) FROM users"))
			require.Equal(t, int64(1), number(t, db, "SELECT count(*) FROM segmentguard_log WHERE state = 'rejected'"))
			require.Equal(t, []int{1, 0}, told.news())
			tx = opened(t, db)
			_, err = impatient(t, h, told).Commit(t.Context(), fiveUsers("r2", h.Staging(tx)))
			require.NoError(t, err, "as it says")
		})
	}
}

// What no retry mends is not tried again: a schema that is missing.
func TestNotReady(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, d enginetest.Database) {
		missing, err := sqlsegment.NewLedger(d.Open(t), d.Dialect)
		require.NoError(t, err)
		dropped, db := d.History(t), d.Open(t)
		require.NoError(t, dropped.Record(t.Context(), rec("r", 1, segment.RunCommitted, 1)))
		execute(t, db, "DROP TABLE segmentguard_commits")
		execute(t, db, "DROP VIEW segmentguard_open_alerts")
		execute(t, db, "DROP VIEW segmentguard_sizes")
		execute(t, db, "DROP TABLE segmentguard_segments")
		for _, h := range []*sqlsegment.Ledger{dropped, missing} {
			_, err := impatient(t, h, &teller{}).Commit(t.Context(), fiveUsers("r2", segment.Staging{Commit: func(context.Context) error { return nil }}))
			require.ErrorIs(t, err, validate.Unverified)
			require.ErrorIs(t, err, segment.ErrNotReady)
			require.False(t, segment.Retryable(err))
			execute(t, db, "DROP TABLE segmentguard_schema")
			tx := opened(t, db)
			_, err = h.Tx(tx).State(t.Context(), idS.In(""))
			require.ErrorIs(t, err, segment.ErrNotReady)
			require.NoError(t, tx.Rollback())
			execute(t, db, "CREATE TABLE segmentguard_schema (version bigint)")
		}
	})
}
