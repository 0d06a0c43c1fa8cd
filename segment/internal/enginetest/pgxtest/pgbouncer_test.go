package pgxtest_test

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/pgxsegment"
	"github.com/segmentguard/segmentguard/validate"
)

const thoseThatWork = "cache_describe, exec or simple_protocol"

// With statements that are prepared on one connection and executed on another, the
// error says which modes need none. Whoever holds the first connection makes the
// second statement go to another one.
func TestCachedStatementsBehindPgBouncer(t *testing.T) {
	t.Parallel()
	through, _ := bouncer(t, 2)
	pool := open(t, through, pgx.QueryExecModeCacheStatement, 1)
	users := pgxsegment.Users{Query: "SELECT generate_series(1, $1::int)", Args: []any{5}, Method: "count"}
	_, err := users.Summarize(t.Context(), pool)
	require.NoError(t, err)
	holding := hold(t, through)
	_, err = users.Summarize(t.Context(), pool)
	require.ErrorContains(t, err, "does not exist (SQLSTATE 26000); want default_query_exec_mode "+thoseThatWork)
	require.NoError(t, holding.Rollback(t.Context()))

	l, err := pgxsegment.NewLedger(pool)
	require.NoError(t, err)
	require.NoError(t, l.Migrate(t.Context()))
	_, err = l.Identity(t.Context())
	require.NoError(t, err)
	hold(t, through)
	_, err = l.Identity(t.Context())
	require.ErrorContains(t, err, thoseThatWork)
}

// hold holds a connection to the server until the test ends.
func hold(t *testing.T, dsn string) pgx.Tx {
	t.Helper()
	tx, err := open(t, dsn, pgx.QueryExecModeExec, 1).Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) })
	exec(t, tx, "SELECT 1")
	return tx
}

// A statement without a name may be somebody else's by the time it is executed: that
// would be no error. So the mode is refused before anything is asked.
func TestDescribeExecBehindPgBouncer(t *testing.T) {
	t.Parallel()
	through, straight := bouncer(t, 2)
	pool := open(t, through, pgx.QueryExecModeDescribeExec, 2)
	users := pgxsegment.Users{Query: "SELECT 1"}
	conn, err := pgx.ConnectConfig(t.Context(), pool.Config().ConnConfig)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) })
	const want = "default_query_exec_mode is describe_exec behind a pooler, want " + thoseThatWork
	for _, q := range []pgxsegment.Queryer{pool, conn} {
		s, err := users.Summarize(t.Context(), q)
		require.ErrorContains(t, err, want)
		require.True(t, s.IsZero())
		err = nil
		for _, last := range (pgxsegment.Listing{Query: "SELECT 'a/b', 1"}).Sizes(t.Context(), q) {
			err = last
		}
		require.ErrorContains(t, err, want)
	}
	l, err := pgxsegment.NewLedger(pool)
	require.NoError(t, err)
	require.ErrorContains(t, l.Migrate(t.Context()), want)
	_, err = l.State(t.Context(), segment.ID{Name: "s"}.In(""))
	require.ErrorContains(t, err, want)
	require.Zero(t, pool.Stat().AcquiredConns())

	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	s, err := users.Summarize(t.Context(), tx)
	require.NoError(t, err, "a transaction stays on its connection")
	require.EqualValues(t, 1, s.Users())
	require.NoError(t, tx.Rollback(t.Context()))
	exec(t, conn, "BEGIN")
	_, err = users.Summarize(t.Context(), conn)
	require.NoError(t, err)
	exec(t, conn, "ROLLBACK")
	_, err = users.Summarize(t.Context(), open(t, straight, pgx.QueryExecModeDescribeExec, 2))
	require.NoError(t, err, "nor is there anybody in between")
}

// Migrations keep each other out behind PgBouncer, too: their lock is a transaction's.
func TestMigrationsBehindPgBouncer(t *testing.T) {
	t.Parallel()
	through, _ := bouncer(t, 4)
	var all sync.WaitGroup
	errs := make([]error, 8)
	pools := make([]*pgxpool.Pool, len(errs))
	for i := range errs {
		pools[i] = open(t, through, pgx.QueryExecModeExec, 1)
	}
	for i, pool := range pools {
		all.Go(func() {
			l, err := pgxsegment.NewLedger(pool)
			if err == nil {
				err = l.Migrate(t.Context())
			}
			errs[i] = err
		})
	}
	all.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	l := migrated(t, pools[0])
	require.NoError(t, l.Check(t.Context()))
	var locks int
	require.NoError(t, pools[0].QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").Scan(&locks))
	require.Zero(t, locks, "none is left on a connection")
}

// A copy in its own transaction goes through PgBouncer like any other.
func TestCopyBehindPgBouncer(t *testing.T) {
	t.Parallel()
	through, _ := bouncer(t, 4)
	for _, m := range []pgx.QueryExecMode{pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		s := newStore(t, open(t, through, m, 4))
		require.NoError(t, s.run(t.Context(), name(m), 50))
		require.ErrorIs(t, s.run(t.Context(), name(m)+" cut", 49), validate.Short)
		s.requireLive(t, name(m))
	}
}
