package enginetest_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// methods are all ways to measure, and what each says it was doing when it was
// broken off in mid-scan.
var methods = map[sqlsegment.Method]string{
	sqlsegment.Native:   "fingerprinting: ",
	sqlsegment.Count:    "counting: ",
	sqlsegment.Portable: "fingerprinting: ",
	sqlsegment.Stream:   "streaming, after ",
}

// brokenOff measures what does not come to an end by itself, breaks that off and
// returns the error. There is never a number.
func brokenOff(t *testing.T, u sqlsegment.Users, q sqlsegment.Queryer, breaks func(cancel func())) error {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, fmt.Errorf("%s was not broken off", u.Method))
	defer cancel()
	var summary validate.Summary
	var err error
	over := make(chan struct{})
	go func() {
		defer close(over)
		summary, err = u.Summarize(ctx, q)
	}()
	breaks(cancel)
	<-over
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	require.Error(t, err)
	require.True(t, summary.IsZero())
	return err
}

// However it is broken off in the midst of its rows, there is an error and no
// number. The scan stands still at user 50,000, as it waits for a lock.
func TestUsersBrokenOff(t *testing.T) {
	d := postgreSQL(t)
	db, other := d.Open(t), d.Open(t)
	db.SetMaxIdleConns(-1) // each a connection of its own, without the settings of the last
	lock := connection(t, other)
	_, err := lock.ExecContext(t.Context(), "SELECT pg_advisory_lock(1)")
	require.NoError(t, err)
	for m, doing := range methods {
		for _, c := range []struct {
			reason, setting string
			function        string // called on the one that scans
			want            string
		}{
			{"cancelled", "", "", "context canceled"},
			{"its connection was killed", "", "pg_terminate_backend", "57P01"},
			{"its statement was cancelled", "", "pg_cancel_backend", "57014"},
			{"it took longer than allowed", "SET statement_timeout = 200", "", "statement timeout"},
			{"it waited longer than allowed", "SET lock_timeout = 50", "", "lock timeout"},
		} {
			conn := connection(t, db)
			_, err := conn.ExecContext(t.Context(), c.setting)
			require.NoError(t, err)
			pid := number(t, conn, "SELECT pg_backend_pid()")
			err = brokenOff(t, sqlsegment.Users{Dialect: d.Dialect, Method: m, Query: `SELECT 'user ' || i FROM generate_series(1, 100000) AS n(i)
				WHERE CASE WHEN i = 50000 THEN pg_advisory_lock_shared(1) IS NOT NULL ELSE true END`}, conn, func(cancel func()) {
				if c.setting != "" {
					return
				}
				await(t.Context(), t, other, fmt.Sprintf("SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND wait_event_type = 'Lock'", pid))
				if c.function == "" {
					cancel()
				} else {
					execute(t, other, fmt.Sprintf("SELECT %s(%d)", c.function, pid))
				}
			})
			require.ErrorContains(t, err, c.want, "%s %s", m, c.reason)
			require.ErrorContains(t, err, doing, "%s %s", m, c.reason)
		}
	}
}

// The same in MariaDB.
func TestUsersBrokenOffInMariaDB(t *testing.T) {
	d := mariaDB(t)
	db, other := d.Open(t), d.Open(t)
	db.SetMaxIdleConns(-1) // each a connection of its own, without the settings of the last
	lock := connection(t, other)
	_, err := lock.ExecContext(t.Context(), "SELECT GET_LOCK('gate', 0)")
	require.NoError(t, err)
	for m, doing := range methods {
		for _, c := range []struct {
			reason, setting, kill string
			want                  string
		}{
			{"cancelled", "", "", "context canceled"},
			{"its connection was killed", "", "KILL %d", "connection"},
			{"its statement was cancelled", "", "KILL QUERY %d", "1317"},
			{"it took longer than allowed", "SET max_statement_time = 0.2", "", "1969"},
		} {
			conn, err := db.Conn(t.Context())
			require.NoError(t, err)
			var id int64
			require.NoError(t, conn.QueryRowContext(t.Context(), "SELECT CONNECTION_ID()").Scan(&id))
			if c.setting != "" {
				_, err = conn.ExecContext(t.Context(), c.setting)
				require.NoError(t, err)
			}
			err = brokenOff(t, sqlsegment.Users{Dialect: d.Dialect, Method: m, Query: `SELECT CONCAT('user ', seq) FROM seq_1_to_100000
				WHERE CASE WHEN seq = 50000 THEN GET_LOCK('gate', 60) IS NOT NULL ELSE 1 END`}, conn, func(cancel func()) {
				if c.setting != "" {
					return
				}
				await(t.Context(), t, other, fmt.Sprintf("SELECT count(*) FROM information_schema.processlist WHERE id = %d AND state = 'User lock'", id))
				if c.kill == "" {
					cancel()
				} else {
					execute(t, other, fmt.Sprintf(c.kill, id))
				}
			})
			require.ErrorContains(t, err, c.want, "%s %s", m, c.reason)
			require.ErrorContains(t, err, doing, "%s %s", m, c.reason)
			_ = conn.Close() // some of them are closed already
		}
	}
}

// await asks until the answer is no longer 0, a minute at most.
func await(ctx context.Context, t *testing.T, db *sql.DB, query string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for n := 0; n == 0; {
		require.NoError(t, db.QueryRowContext(ctx, query).Scan(&n), query)
	}
}

// The same in ClickHouse, where the scan never ends by itself.
func TestUsersBrokenOffInClickHouse(t *testing.T) {
	d := clickHouse(t)
	db, other := d.Open(t), d.Open(t)
	for m, doing := range methods {
		for _, c := range []struct {
			reason, kill string
			want         string
		}{
			{"cancelled", "", "context canceled"},
			{"its statement was killed", "KILL QUERY WHERE query_id = '%s' ASYNC", "394"},
		} {
			mark := fmt.Sprintf("%s, %s", m, c.reason)
			err := brokenOff(t, sqlsegment.Users{Dialect: d.Dialect, Method: m, Query: "SELECT toString(number) AS id FROM system.numbers -- " + mark}, connection(t, db), func(cancel func()) {
				id := awaitScan(t, other, mark)
				if c.kill == "" {
					cancel()
					return
				}
				execute(t, other, fmt.Sprintf(c.kill, id))
			})
			require.ErrorContains(t, err, c.want, "%s %s", m, c.reason)
			require.ErrorContains(t, err, doing, "%s %s", m, c.reason)
		}
	}
}

// awaitScan waits for a query that has read some, and tells which it is.
func awaitScan(t *testing.T, db *sql.DB, mark string) (id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for id == "" {
		err := db.QueryRowContext(ctx, "SELECT query_id FROM system.processes WHERE query LIKE '%-- "+mark+"%' AND query NOT LIKE '%system.processes%' AND read_rows > 100000").Scan(&id)
		if !errors.Is(err, sql.ErrNoRows) {
			require.NoError(t, err)
		}
	}
	return id
}

// The same in SQLite, where nobody else can break it off.
func TestUsersBrokenOffInSQLite(t *testing.T) {
	d := enginetest.SQLite.New(t)
	for m := range methods {
		u := sqlsegment.Users{Dialect: d.Dialect, Method: m, Query: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		s, err := u.Summarize(ctx, d.Open(t))
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.True(t, s.IsZero())
	}
}

// Settings may tell ClickHouse to end a query early and answer for the users
// seen so far, without a word. Each is shown to do so to a query that does not
// care.
func TestUsersAreNotBrokenOffInSilence(t *testing.T) {
	d := clickHouse(t)
	db := d.Open(t)
	execute(t, db, "CREATE TABLE ids (id String) ENGINE = MergeTree ORDER BY id")
	execute(t, db, "INSERT INTO ids SELECT toString(number) FROM numbers(100000)")
	for _, c := range []struct{ reason, settings, query, want string }{
		{"time", "max_execution_time = 1, timeout_overflow_mode = 'break'", "SELECT toString(number) AS id FROM system.numbers", "159"},
		{"rows read", "max_rows_to_read = 1000, read_overflow_mode = 'break'", "SELECT id FROM ids", "158"},
		{"distinct rows", "max_rows_in_distinct = 1000, distinct_overflow_mode = 'break'", "SELECT DISTINCT id FROM ids", "191"},
		{"groups", "max_rows_to_group_by = 1000, group_by_overflow_mode = 'break'", "SELECT id FROM ids GROUP BY id", "158"},
		{"groups, while more users of them come", "max_rows_to_group_by = 1000, group_by_overflow_mode = 'any'", "SELECT id FROM ids GROUP BY id", "158"},
		{"a set", "max_rows_in_set = 1000, set_overflow_mode = 'break'", "SELECT id FROM ids WHERE id IN (SELECT id FROM ids)", "191"},
		{"a join", "max_rows_in_join = 1000, join_overflow_mode = 'break'", "SELECT id FROM ids ALL INNER JOIN (SELECT id FROM ids) USING id", "191"},
		{"a result, which a query's own settings do not change", "max_result_rows = 1000, result_overflow_mode = 'break'", "SELECT id FROM ids", "the session's result_overflow_mode is break, want its default"},
	} {
		conn := connection(t, db)
		_, err := conn.ExecContext(t.Context(), "SET max_threads = 1, max_block_size = 1000, "+c.settings)
		require.NoError(t, err)
		if c.reason != "time" { // an endless query that ended
			require.Less(t, rowsOf(t, conn, c.query), 100_000, c.reason)
		}
		for m := range methods {
			s, err := sqlsegment.Users{Dialect: d.Dialect, Method: m, Query: c.query}.Summarize(t.Context(), conn)
			require.ErrorContains(t, err, c.want, "%s: %s", m, c.reason)
			require.True(t, s.IsZero())
		}
	}
}

// rowsOf reads a query to its end, without an error.
func rowsOf(t *testing.T, q sqlsegment.Queryer, query string) (n int) {
	t.Helper()
	rows, err := q.QueryContext(t.Context(), query)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		n++
	}
	require.NoError(t, rows.Err())
	return n
}
