package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

// run makes a source of 25,000 users, copies it, and looks what is live.
func run(ctx context.Context, dsn string, broken bool, out io.Writer) (err error) {
	db, d, err := open(dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	ledger, err := sqlsegment.NewLedger(db, d)
	if err == nil {
		err = ledger.Migrate(ctx)
	}
	if err != nil {
		return err
	}
	for _, statement := range []string{
		"DROP TABLE IF EXISTS indatabase_members",
		"CREATE TABLE indatabase_members (segment text NOT NULL, id text NOT NULL, PRIMARY KEY (segment, id))",
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25000) INSERT INTO indatabase_members SELECT 'site-a/cars', 'user-' || i FROM n",
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	guard, err := segment.NewGuard(segment.GuardConfig{Ledger: ledger, Alerter: segment.LogAlerter(slog.New(slog.DiscardHandler))})
	if err != nil {
		return err
	}
	limit := ""
	if broken {
		limit = " LIMIT 10000"
	}
	copied := copySegment(ctx, guard, ledger, db, d, time.Now().Format(time.RFC3339Nano), limit)
	var live int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM indatabase_members WHERE segment = 'site-b/cars'").Scan(&live); err != nil {
		return err
	}
	fmt.Fprintf(out, "%v: %d users live\n", target, live)
	return copied
}

func open(dsn string) (*sql.DB, sqlsegment.Dialect, error) {
	if dsn != "" {
		db, err := sql.Open("pgx", dsn)
		return db, sqlsegment.PostgreSQL, err
	}
	db, err := sql.Open("sqlite", ":memory:")
	if err == nil {
		db.SetMaxOpenConns(1) // a database in memory belongs to its connection
	}
	return db, sqlsegment.SQLite, err
}
