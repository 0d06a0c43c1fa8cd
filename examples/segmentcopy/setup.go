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
	source, err := open(ctx, `CREATE TABLE cars (user TEXT PRIMARY KEY);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 25000)
		INSERT INTO cars SELECT 'user-' || i FROM n`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := open(ctx, `CREATE TABLE cars (user TEXT PRIMARY KEY)`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	guard, err := segment.NewGuard(segment.Config{})
	if err != nil {
		return err
	}
	limit := -1 // none
	if broken {
		limit = 10_000
	}
	copied := copyCars(ctx, guard, source, target, limit)
	live, err := users.Summarize(ctx, target)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%v: %v live\n", cars, live)
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

// rows are what a query of one column of text yields.
func rows(ctx context.Context, db *sql.DB, query string, args ...any) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		rows, err := db.QueryContext(ctx, query, args...)
		if err != nil {
			yield("", err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var text string
			err := rows.Scan(&text)
			if !yield(text, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield("", err)
		}
	}
}
