package pgxtest_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/ledgertest"
)

func TestLedgers(t *testing.T) {
	t.Parallel()
	dsn := direct(t)
	for _, m := range modes {
		t.Run(name(m), func(t *testing.T) { conforms(t, open(t, dsn, m, 10)) })
	}
}

// Behind PgBouncer, with fewer connections to the server than to it.
func TestLedgersBehindPgBouncer(t *testing.T) {
	t.Parallel()
	through, _ := bouncer(t, 5)
	for _, m := range []pgx.QueryExecMode{pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		t.Run(name(m), func(t *testing.T) { conforms(t, open(t, through, m, 10)) })
	}
}

// A ledger's own transactions are at READ COMMITTED, whatever the default.
func TestIsolation(t *testing.T) {
	t.Parallel()
	config, err := pgxpool.ParseConfig(direct(t) + " default_transaction_isolation=serializable")
	require.NoError(t, err)
	var begins begun
	config.ConnConfig.Tracer = &begins
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer pool.Close()
	l := migrated(t, pool)
	require.NoError(t, l.Lock(t.Context(), cars.In(""), func(*segment.CommitRow) error { return nil }))
	require.Greater(t, len(begins), 1)
	for _, sql := range begins {
		require.Equal(t, "begin isolation level read committed", sql)
	}
}

// begun is the statements by which transactions began.
type begun []string

func (b *begun) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	if strings.HasPrefix(q.SQL, "begin") {
		*b = append(*b, q.SQL)
	}
	return ctx
}

func (*begun) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// conforms holds a ledger, and one in transactions, against the contract. It begins with
// an empty database.
func conforms(t *testing.T, pool *pgxpool.Pool) {
	exec(t, pool, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
	l := migrated(t, pool)
	require.NoError(t, l.Check(t.Context()))
	ledgertest.TestLedger(t, func(*testing.T) segment.Ledger { return l })
	exec(t, pool, "TRUNCATE segmentguard_segments, segmentguard_log, segmentguard_commits, segmentguard_incidents")
	t.Run("in transactions", func(t *testing.T) {
		ledgertest.TestRecorder(t, func(t *testing.T) segment.Recorder {
			t.Helper()
			tx, err := pool.Begin(t.Context())
			require.NoError(t, err)
			t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) })
			return l.Tx(tx)
		})
		ledgertest.TestPlanLedger(t, func(t *testing.T) segment.PlanLedger {
			t.Helper()
			tx, err := pool.Begin(t.Context())
			require.NoError(t, err)
			t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) })
			return l.Tx(tx)
		})
	})
}
