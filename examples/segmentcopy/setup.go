package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/segmentguard/segmentguard/segment"
)

// run makes two databases, copies, and looks what is live.
func run(ctx context.Context, broken bool, out io.Writer) (err error) {
	source, err := open(ctx, `CREATE TABLE cars (id TEXT PRIMARY KEY);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 25000)
		INSERT INTO cars SELECT 'user-' || i FROM n`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := open(ctx, `CREATE TABLE cars (id TEXT PRIMARY KEY)`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	ledger := segment.NewMemory() // a sqlsegment.Ledger in production
	guard, err := segment.NewGuard(segment.GuardConfig{Ledger: ledger})
	if err != nil {
		return err
	}
	rows := reading(-1) // all of them
	if broken {
		rows = reading(10_000)
	}
	copied := copyCars(ctx, guard, "2024-03-18", source, target, rows)
	live, err := users.Summarize(ctx, target)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%v: %v live\n", to, live)
	return copied
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

// A reader reads the users of a database, one by one.
type reader func(context.Context, *sql.DB) iter.Seq2[string, error]

// reading reads up to limit users. limit is the bug.
func reading(limit int) reader {
	return func(ctx context.Context, db *sql.DB) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			rows, err := db.QueryContext(ctx, "SELECT id FROM cars LIMIT ?", limit)
			if err != nil {
				yield("", err)
				return
			}
			defer rows.Close()
			for rows.Next() {
				var user string
				err := rows.Scan(&user)
				if !yield(user, err) || err != nil {
					return
				}
			}
			if err := rows.Err(); err != nil {
				yield("", err)
			}
		}
	}
}
