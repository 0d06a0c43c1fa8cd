package pgxtest_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"

	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/pgxsegment"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

var from, to = segment.ID{SiteGroup: "site-a", Name: "cars"}, segment.ID{SiteGroup: "site-b", Name: "cars"}

// exampleDSN returns a database with 43,210 cars and an empty copy.
func exampleDSN(ctx context.Context, name string) string {
	s, err := examples()
	if err != nil {
		log.Fatal(err)
	}
	dsn := "host=" + s.Folder + " user=postgres dbname="
	for _, step := range []struct{ database, statement string }{
		{"postgres", "CREATE DATABASE " + name},
		{name, "CREATE TABLE cars AS SELECT 'user-' || i AS id FROM generate_series(1, 43210) AS i; CREATE TABLE copied (id text)"},
	} {
		pool, err := pgxpool.New(ctx, dsn+step.database)
		if err == nil {
			_, err = pool.Exec(ctx, step.statement)
			pool.Close()
		}
		if err != nil {
			log.Fatal(err)
		}
	}
	return dsn + name
}

// losesUsers has the database drop every tenth user without a word.
const losesUsers = "CREATE RULE loses AS ON INSERT TO copied WHERE NEW.id LIKE '%7' DO INSTEAD NOTHING"

// A copy inside one database, by pgx: its size is recorded in its transaction.
func Example_pgx() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, exampleDSN(ctx, "by_pgx"))
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	ledger, err := pgxsegment.NewLedger(pool)
	if err == nil {
		err = ledger.Migrate(ctx)
	}
	if err != nil {
		log.Fatal(err)
	}
	guard, err := segment.NewGuard(segment.GuardConfig{Ledger: ledger})
	if err != nil {
		log.Fatal(err)
	}
	cars, copied := pgxsegment.Users{Query: "SELECT id FROM cars"}, pgxsegment.Users{Query: "SELECT id FROM copied"}
	copyCars := func(ctx context.Context, runID string) (validate.Report, error) {
		return guard.Do(ctx, segment.Run{ID: runID, Job: segment.Copy(to, from)}, func(ctx context.Context, run *segment.Run) error {
			tx, err := pool.Begin(ctx)
			if err != nil {
				return err
			}
			run.Staging = ledger.Staging(tx)
			run.Stored = func(ctx context.Context) (validate.Summary, error) { return copied.Summarize(ctx, tx) }
			if run.Expected, err = cars.Summarize(ctx, tx); err == nil {
				_, err = tx.Exec(ctx, "DELETE FROM copied; INSERT INTO copied SELECT id FROM cars")
			}
			return err
		})
	}
	_, err = copyCars(ctx, "monday")
	fmt.Println(err)
	if _, err := pool.Exec(ctx, losesUsers); err != nil {
		log.Fatal(err)
	}
	_, err = copyCars(ctx, "tuesday")
	fmt.Println(err)
	live, err := copied.Summarize(ctx, pool)
	fmt.Println(live.Users(), err)
	// Output:
	// <nil>
	// site-b/cars: stored 38,889 of 43,210 users (10.0% short, 0 allowed)
	// 43210 <nil>
}

// The same by database/sql.
func Example_databaseSQL() {
	ctx := context.Background()
	db, err := sql.Open("pgx", exampleDSN(ctx, "by_database_sql"))
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	ledger, err := sqlsegment.NewLedger(db, sqlsegment.PostgreSQL)
	if err == nil {
		err = ledger.Migrate(ctx)
	}
	if err != nil {
		log.Fatal(err)
	}
	guard, err := segment.NewGuard(segment.GuardConfig{Ledger: ledger})
	if err != nil {
		log.Fatal(err)
	}
	cars := sqlsegment.Users{Dialect: sqlsegment.PostgreSQL, Query: "SELECT id FROM cars"}
	copied := sqlsegment.Users{Dialect: sqlsegment.PostgreSQL, Query: "SELECT id FROM copied"}
	copyCars := func(ctx context.Context, runID string) (validate.Report, error) {
		return guard.Do(ctx, segment.Run{ID: runID, Job: segment.Copy(to, from)}, func(ctx context.Context, run *segment.Run) error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			run.Staging = ledger.Staging(tx)
			run.Stored = func(ctx context.Context) (validate.Summary, error) { return copied.Summarize(ctx, tx) }
			if run.Expected, err = cars.Summarize(ctx, tx); err == nil {
				_, err = tx.ExecContext(ctx, "DELETE FROM copied; INSERT INTO copied SELECT id FROM cars")
			}
			return err
		})
	}
	_, err = copyCars(ctx, "monday")
	fmt.Println(err)
	if _, err := db.ExecContext(ctx, losesUsers); err != nil {
		log.Fatal(err)
	}
	_, err = copyCars(ctx, "tuesday")
	fmt.Println(err)
	live, err := copied.Summarize(ctx, db)
	fmt.Println(live.Users(), err)
	// Output:
	// <nil>
	// site-b/cars: stored 38,889 of 43,210 users (10.0% short, 0 allowed)
	// 43210 <nil>
}
