package enginetest_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// openExample returns a database with a source of three users and a copy that lost
// one. It has one connection, as a database in memory is one connection's own.
func openExample() *sql.DB {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		log.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	for _, statement := range []string{
		"CREATE TABLE source (user TEXT)", "INSERT INTO source VALUES ('ann'), ('bob'), ('eve')",
		"CREATE TABLE copy (user TEXT)", "INSERT INTO copy VALUES ('ann'), ('eve')",
	} {
		if _, err := db.Exec(statement); err != nil {
			log.Fatal(err)
		}
	}
	return db
}

// Counts say how many users there are.
func Example_count() {
	db := openExample()
	defer db.Close()
	users := sqlsegment.Users{Dialect: sqlsegment.SQLite, Query: "SELECT user FROM source", Method: sqlsegment.Count}
	expected, err := users.Summarize(context.Background(), db)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(expected.Users(), "users")
	// Output:
	// 3 users
}

// Fingerprints say whether they are the same users, too. The zero Method takes what
// the engine does fastest.
func Example_native() {
	db := openExample()
	defer db.Close()
	ctx := context.Background()
	source := sqlsegment.Users{Dialect: sqlsegment.SQLite, Query: "SELECT user FROM source"}
	expected, err := source.Summarize(ctx, db)
	if err != nil {
		log.Fatal(err)
	}
	copied := sqlsegment.Users{Dialect: sqlsegment.SQLite, Query: "SELECT user FROM copy UNION SELECT 'zoe'"}
	stored, err := copied.Summarize(ctx, db)
	if err != nil {
		log.Fatal(err)
	}
	_, err = validate.Check(ctx, validate.Policy{}, validate.Output{Name: "copy", Expected: expected, Stored: stored})
	fmt.Println(stored.Users() == expected.Users(), err != nil)
	// Output:
	// true true
}

// A stream digests the users in this process: it needs no second look to say which
// are missing.
func Example_stream() {
	db := openExample()
	defer db.Close()
	ctx := context.Background()
	summarize := func(query string) validate.Summary {
		users := sqlsegment.Users{Dialect: sqlsegment.SQLite, Query: query, Method: sqlsegment.Stream}
		s, err := users.Summarize(ctx, db)
		if err != nil {
			log.Fatal(err)
		}
		return s
	}
	_, err := validate.Check(ctx, validate.Policy{}, validate.Output{
		Name:     "copy",
		Expected: summarize("SELECT user FROM source ORDER BY user"),
		Stored:   summarize("SELECT user FROM copy ORDER BY user"),
	})
	fmt.Println(err)
	// Output:
	// copy: stored 2 of 3 users (33.3% short, 0 allowed)
}

// A ledger remembers sizes, records and decisions, for every guard and monitor.
func Example_ledger() {
	db := openExample()
	defer db.Close()
	ctx := context.Background()
	ledger, err := sqlsegment.NewLedger(db, sqlsegment.SQLite)
	if err != nil {
		log.Fatal(err)
	}
	if err := ledger.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	cars := segment.ID{SiteGroup: "site-a", Name: "cars"}
	monday := time.Date(2024, 3, 18, 6, 0, 0, 0, time.UTC)
	err = segment.Import(ctx, ledger, []segment.SizeImport{
		{Segment: cars, Sizes: []validate.Size{{Users: 812_000, At: monday}, {Users: 815_500, At: monday.AddDate(0, 0, 1)}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	for s, err := range ledger.Segments(ctx, segment.SegmentFilter{SiteGroup: "site-a"}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(s.Segment, len(s.Sizes), "sizes, the last of", s.Sizes[len(s.Sizes)-1].Users, "users")
	}
	// Output:
	// site-a/cars 2 sizes, the last of 815500 users
}

// In the transaction of a job its record goes live with the data, or not at all.
func Example_transaction() {
	db := openExample()
	defer db.Close()
	ctx := context.Background()
	ledger, err := sqlsegment.NewLedger(db, sqlsegment.SQLite)
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
	source := sqlsegment.Users{Dialect: sqlsegment.SQLite, Query: "SELECT user FROM source"}
	expected, err := source.Summarize(ctx, db)
	if err != nil {
		log.Fatal(err)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM copy; INSERT INTO copy SELECT user FROM source"); err != nil {
		log.Fatal(err)
	}
	copied := segment.ID{SiteGroup: "site-a", Name: "copy"}
	report, err := guard.Commit(ctx, segment.Run{
		ID: "monday", Job: segment.Copy(copied, segment.ID{SiteGroup: "site-a", Name: "source"}),
		Expected: expected,
		Stored: func(ctx context.Context) (validate.Summary, error) {
			return sqlsegment.Users{Dialect: sqlsegment.SQLite, Query: "SELECT user FROM copy"}.Summarize(ctx, tx)
		},
		Staging: ledger.Staging(tx),
	})
	fmt.Println(report.Stored.Users(), err)
	known, err := ledger.State(ctx, copied.In(""))
	fmt.Println(len(known.Sizes), err)
	// Output:
	// 3 <nil>
	// 1 <nil>
}
