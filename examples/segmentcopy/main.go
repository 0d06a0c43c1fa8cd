// Command segmentcopy is the smallest honest copy of a segment from one site
// group's database into another's, guarded. With -break its read stops at 10,000
// users, as it did in March 2024.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"

	_ "modernc.org/sqlite"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

var (
	cars  = segment.ID{SiteGroup: "site-b", Name: "cars"}
	users = sqlsegment.Users{Dialect: sqlsegment.SQLite, Method: sqlsegment.Count, Query: "SELECT user FROM cars"}
)

// copyCars copies cars from source into target. limit is the bug.
func copyCars(ctx context.Context, guard *segment.Guard, source, target *sql.DB, limit int) error {
	// Guard: ask the source itself. Never take what the job reads for Expected,
	// or a read that stops early passes: 10,000 stored of 10,000 read.
	expected, err := users.Summarize(ctx, source)
	if err != nil {
		return err
	}

	tx, err := target.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	read, err := stream(ctx, source, tx, limit)
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}

	// Guard: in place of return tx.Commit().
	_, err = guard.Commit(ctx, segment.Run{
		ID: "2024-03-18", Job: segment.Copy(cars, segment.ID{SiteGroup: "site-a", Name: "cars"}),
		Expected: expected,
		Read:     validate.Count(read),
		Stored:   func(ctx context.Context) (validate.Summary, error) { return users.Summarize(ctx, tx) },
		Commit:   func(context.Context) error { return tx.Commit() },
		Discard:  func(context.Context) error { return tx.Rollback() },
	})
	return err
}

// stream reads users from source and writes them to target.
func stream(ctx context.Context, source *sql.DB, target *sql.Tx, limit int) (read int64, err error) {
	rows, err := source.QueryContext(ctx, "SELECT user FROM cars LIMIT ?", limit)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var user string
		if err := rows.Scan(&user); err != nil {
			return read, err
		}
		if _, err := target.ExecContext(ctx, "INSERT INTO cars VALUES (?)", user); err != nil {
			return read, err
		}
		read++
	}
	return read, rows.Err()
}

func main() {
	broken := flag.Bool("break", false, "stop reading at 10,000 users")
	flag.Parse()
	if err := run(context.Background(), *broken, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
