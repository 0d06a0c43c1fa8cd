package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"

	"github.com/segmentguard/segmentguard/segment"
)

// run makes a source of 25,000 users and a target that an unguarded job left with
// three of them missing and one that is not theirs, repairs, and looks what is live.
func run(ctx context.Context, broken bool, out io.Writer) (err error) {
	const world = `CREATE TABLE cars (id TEXT PRIMARY KEY);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 25000)
		INSERT INTO cars SELECT 'user-' || i FROM n;`
	source, err := open(ctx, world)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := open(ctx, world+`
		DELETE FROM cars WHERE id IN ('user-7', 'user-700', 'user-7000');
		INSERT INTO cars VALUES ('somebody else')`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	guard, err := segment.NewGuard(segment.GuardConfig{Ledger: segment.NewMemory()}) // a sqlsegment.Ledger in production
	if err != nil {
		return err
	}
	limit := math.MaxInt
	if broken {
		limit = 1
	}
	uploaded, removed, repaired := repairCars(ctx, guard, "2024-03-20", source, target, limit)
	live, err := users.Summarize(ctx, target)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%v: %d uploaded, %d removed, %v live\n", to, uploaded, removed, live)
	return repaired
}

func open(ctx context.Context, world string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // a database in memory belongs to its connection
	_, err = db.ExecContext(ctx, world)
	return db, err
}

// A queryer is a database or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// rows reads all users, one by one.
func rows(ctx context.Context, db queryer) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		found, err := db.QueryContext(ctx, "SELECT id FROM cars")
		if err != nil {
			yield("", err)
			return
		}
		defer found.Close()
		for found.Next() {
			var user string
			err := found.Scan(&user)
			if !yield(user, err) || err != nil {
				return
			}
		}
		if err := found.Err(); err != nil {
			yield("", err)
		}
	}
}
