package pgxtest_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/pgxsegment"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

var methods = []sqlsegment.Method{sqlsegment.Native, sqlsegment.Count, sqlsegment.Portable, sqlsegment.Stream}

// each runs a test in each mode, on a database with users of each type.
func each(t *testing.T, test func(*testing.T, *pgxpool.Pool)) {
	dsn := direct(t)
	for _, m := range modes {
		t.Run(name(m), func(t *testing.T) {
			pool := open(t, dsn, m, 4)
			exec(t, pool, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public", `CREATE TABLE users AS SELECT i AS n, 'user-' || i || ' ä''' AS name, decode(md5(i::text), 'hex') AS raw, md5(i::text)::uuid AS id, nullif(i, 7) AS maybe
FROM generate_series(1, 3000) AS i`, "CREATE DOMAIN account AS bigint", "CREATE TABLE accounts AS SELECT n::account AS id FROM users")
			test(t, pool)
		})
	}
}

// on calls do with each thing that users are read on.
func on(t *testing.T, pool *pgxpool.Pool, do func(*testing.T, pgxsegment.Queryer)) {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), pool.Config().ConnConfig)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) })
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tx.Rollback(context.WithoutCancel(t.Context()))) })
	pooled, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	t.Cleanup(pooled.Release)
	for _, q := range []pgxsegment.Queryer{pool, conn, tx, pooled} {
		t.Run(fmt.Sprintf("%T", q), func(t *testing.T) { do(t, q) })
	}
}

// Users are those that database/sql finds, whatever their type, and say that they are
// complete where those do.
func TestUsers(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, pool *pgxpool.Pool) {
		db := stdlib.OpenDBFromPool(open(t, pool.Config().ConnString(), pgx.QueryExecModeCacheStatement, 2))
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		on(t, pool, func(t *testing.T, q pgxsegment.Queryer) {
			for _, query := range []string{"SELECT n FROM users", "SELECT name FROM users", "SELECT raw FROM users", "SELECT id FROM users", "SELECT id FROM accounts"} {
				for _, m := range methods {
					got, err := pgxsegment.Users{Query: query + " WHERE $1 < 5", Args: []any{3}, Method: m}.Summarize(t.Context(), q)
					require.NoError(t, err, "%s %s", query, m)
					want, err := sqlsegment.Users{Dialect: sqlsegment.PostgreSQL, Query: query, Method: m}.Summarize(t.Context(), db)
					require.NoError(t, err)
					require.EqualValues(t, 3000, got.Users())
					require.Equal(t, want.CompleteUpTo().IsZero(), got.CompleteUpTo().IsZero(), "%s %s", query, m)
					_, err = validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: want, Stored: got})
					require.NoError(t, err, "%s %s", query, m)
				}
			}
		})
	})
}

// A stream allocates nothing for an id.
func TestStreamAllocates(t *testing.T) { //nolint:paralleltest // it counts what this process allocates
	pool := open(t, direct(t), pgx.QueryExecModeCacheStatement, 1)
	u := pgxsegment.Users{Query: "SELECT md5(i::text) FROM generate_series(1, 50000) AS i", Method: sqlsegment.Stream}
	require.Less(t, testing.AllocsPerRun(1, func() {
		s, err := u.Summarize(t.Context(), pool)
		require.NoError(t, err)
		require.EqualValues(t, 50_000, s.Users())
	}), 5000.0)
}

// What cannot be measured is an error that says why, in every mode.
func TestUsersThatCannotBeMeasured(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, pool *pgxpool.Pool) {
		for _, c := range []struct {
			reason, query string
			args          []any
			want          string
		}{
			{"a table that is missing", "SELECT id FROM nobody", nil, `relation "nobody" does not exist`},
			{"a syntax error", "SELECT id FROM users WHERE", nil, "syntax error"},
			{"two columns", "SELECT id, n FROM users", nil, "Users.Query is one of 2 columns (id, n), want one column, the ids"},
			{"no columns", "SELECT FROM users", nil, "Users.Query is one of 0 columns (), want one column, the ids"},
			{"a NULL", "SELECT maybe FROM users", nil, "1 of 3000 ids are NULL, want none"},
			{"an error as late as from a row", "SELECT 10 / (n - 2000) FROM users", nil, "division by zero"},
			{"arguments that are missing", "SELECT id FROM users WHERE n = $1", nil, ""},
			{"ended", "SELECT id FROM users;", nil, `Users.Query is ended by ";"`},
		} {
			for _, m := range methods {
				s, err := pgxsegment.Users{Query: c.query, Args: c.args, Method: m}.Summarize(t.Context(), pool)
				require.ErrorContains(t, err, c.want, "%s: %s", m, c.reason)
				require.True(t, s.IsZero())
			}
		}
		s, err := pgxsegment.Users{Query: "SELECT n / 0.7 FROM users"}.Summarize(t.Context(), pool)
		require.ErrorContains(t, err, "a column of type NUMERIC, want text, integers, UUIDs or bytes")
		require.True(t, s.IsZero())
		require.Zero(t, pool.Stat().AcquiredConns(), "all are given back")
	})
	for _, q := range []pgxsegment.Queryer{nil, (*pgxpool.Pool)(nil), (*pgx.Conn)(nil), (*pgxpool.Conn)(nil)} {
		_, err := pgxsegment.Users{Query: "SELECT 1"}.Summarize(t.Context(), q)
		require.ErrorContains(t, err, "q is nil, want an open database, connection or transaction")
	}
	_, err := pgxsegment.NewLedger(nil)
	require.ErrorContains(t, err, "NewLedger: pool is nil, want an open *pgxpool.Pool")
}

// A stream that a context breaks off is an error, and not fewer users.
func TestBrokenStream(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, pool *pgxpool.Pool) {
		for _, m := range methods {
			ctx, cancel := context.WithCancelCause(t.Context())
			away := errors.New("gone away")
			u := pgxsegment.Users{Query: "SELECT n FROM users UNION ALL SELECT n FROM users, pg_sleep_for('1 hour')", Method: m}
			go func() {
				for pool.Stat().AcquiredConns() == 0 && ctx.Err() == nil {
					runtime.Gosched()
				}
				cancel(away)
			}()
			s, err := u.Summarize(ctx, pool)
			require.ErrorIs(t, err, context.Canceled, m)
			require.True(t, s.IsZero())
			cancel(nil)
		}
	})
}

// The ids that differ are found in the database, of two pools.
func TestDiffering(t *testing.T) {
	t.Parallel()
	elsewhere := direct(t)
	each(t, func(t *testing.T, pool *pgxpool.Pool) {
		other := open(t, elsewhere, pool.Config().ConnConfig.DefaultQueryExecMode, 2)
		exec(t, other, "DROP TABLE IF EXISTS users", "CREATE TABLE users AS SELECT 'user-' || i || ' ä''' AS name FROM generate_series(3, 3000) AS i", "INSERT INTO users VALUES ('zoe')")
		for _, m := range []sqlsegment.Method{sqlsegment.Native, sqlsegment.Portable} {
			u := pgxsegment.Users{Query: "SELECT name FROM users", Method: m}
			found, err := u.Differing(t.Context(), pool, u, other)
			require.NoError(t, err)
			require.Equal(t, []sqlsegment.Differing{{ID: "user-1 ä'", Expected: 1}, {ID: "user-2 ä'", Expected: 1}, {ID: "zoe", Stored: 1}}, found)
			expected, err := u.Summarize(t.Context(), pool)
			require.NoError(t, err)
			stored, err := u.Summarize(t.Context(), other)
			require.NoError(t, err)
			_, err = validate.Check(t.Context(), validate.Policy{}, validate.Output{Expected: expected, Stored: stored})
			require.ErrorContains(t, err, "stored 2,999 of 3,000 users (under 0.1% short, 0 allowed): 1 is stored that should not be (0 allowed)")
		}
	})
}

// A listing comes in the order of bytes, and holds one connection, also where it is
// left early.
func TestListing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, pool *pgxpool.Pool) {
		exec(t, pool, "CREATE TABLE sizes (site_group text, name text, users bigint)", "INSERT INTO sizes VALUES ('a', 'b', 5), ('a', 'B', 0), ('a/', 'ä', 7)")
		on(t, pool, func(t *testing.T, q pgxsegment.Queryer) {
			l := pgxsegment.Listing{Query: "SELECT * FROM sizes WHERE users >= $1", Args: []any{0}}
			var got []string
			for size, err := range l.Sizes(t.Context(), q) {
				require.NoError(t, err)
				got = append(got, fmt.Sprint(size.Segment, " ", size.Stored.Users()))
			}
			require.Equal(t, []string{"a%2F/ä 7", "a/B 0", "a/b 5"}, got)
			for range l.Sizes(t.Context(), q) {
				break
			}
			used := pool.Stat().AcquiredConns()
			for size, err := range (pgxsegment.Listing{Query: "SELECT site_group || '/' || name, users FROM sizes WHERE users < 6"}).Sizes(t.Context(), q) {
				require.NoError(t, err)
				require.Equal(t, segment.ID{SiteGroup: "a", Name: "B"}, size.Segment)
				break
			}
			require.Equal(t, used, pool.Stat().AcquiredConns())
		})
		var last error
		for _, err := range (pgxsegment.Listing{Query: "SELECT site_group, NULL, users FROM sizes"}).Sizes(t.Context(), pool) {
			last = err
		}
		require.ErrorContains(t, last, "has a NULL, want a name and a number")
	})
}
