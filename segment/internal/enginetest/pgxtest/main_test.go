package pgxtest_test

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/segmentguard/segmentguard/segment/internal/enginetest"
	"github.com/segmentguard/segmentguard/segment/internal/enginetest/servertest"
	"github.com/segmentguard/segmentguard/segment/pgxsegment"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if _, err := examples(); servertest.MaySkip(err) { // which an example cannot do itself
		fmt.Println("no examples:", err)
		if err := flag.Set("test.skip", "^Example"); err != nil {
			panic(err)
		}
	}
	enginetest.Main(m, nil)
}

// examples starts the PostgreSQL of the examples.
var examples = servertest.Shared(func() (*servertest.Server, error) { return servertest.StartPostgreSQL() })

// modes are the ways in which pgx runs a query.
var modes = []pgx.QueryExecMode{
	pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
	pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
}

// name returns what a connection string calls the mode.
func name(m pgx.QueryExecMode) string { return strings.ReplaceAll(m.String(), " ", "_") }

// open returns a pool of so many connections in a mode, closed when the test ends.
func open(t testing.TB, dsn string, m pgx.QueryExecMode, connections int32) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(dsn + " default_query_exec_mode=" + name(m))
	require.NoError(t, err)
	require.Equal(t, m, config.ConnConfig.DefaultQueryExecMode)
	config.MaxConns = connections
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// migrated returns a ledger whose tables are there.
func migrated(t testing.TB, pool *pgxpool.Pool) *pgxsegment.Ledger {
	t.Helper()
	l, err := pgxsegment.NewLedger(pool)
	require.NoError(t, err)
	require.NoError(t, l.Migrate(t.Context()))
	return l
}

// direct makes a database on a PostgreSQL.
func direct(t testing.TB) (dsn string) {
	t.Helper()
	return enginetest.PostgreSQL.New(t).DSN
}

// bouncer makes a database and returns how to reach it through a PgBouncer, and without.
func bouncer(t testing.TB, connections int) (through, direct string) {
	t.Helper()
	direct = enginetest.PostgreSQL.New(t).DSN
	config, err := pgx.ParseConfig(direct)
	require.NoError(t, err)
	s, err := servertest.StartPgBouncer(&servertest.Server{Folder: config.Host}, connections)
	servertest.Require(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return "host=" + s.Folder + " port=6432 user=postgres dbname=" + config.Database, direct
}

func exec(t testing.TB, q pgxsegment.Queryer, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		_, err := q.Exec(context.WithoutCancel(t.Context()), statement)
		require.NoError(t, err, statement)
	}
}
