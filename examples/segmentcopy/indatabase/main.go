// Command indatabase copies a segment inside one database, guarded: the users
// never leave it, and the data and its size are recorded in one transaction. It makes an
// embedded SQLite, or takes a PostgreSQL with -dsn, where it leaves tables named
// indatabase_… behind. With -break the copy stops at 10,000 users.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

var (
	source = segment.ID{SiteGroup: "site-a", Name: "cars"}
	target = segment.ID{SiteGroup: "site-b", Name: "cars"}
)

const (
	sourceUsers = "SELECT id FROM indatabase_members WHERE segment = 'site-a/cars'"
	targetUsers = "SELECT id FROM indatabase_members WHERE segment = 'site-b/cars'"
)

// copySegment copies source into target. limit is the bug.
func copySegment(ctx context.Context, guard *segment.Guard, ledger *sqlsegment.Ledger, db *sql.DB, d sqlsegment.Dialect, run, limit string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO indatabase_members (segment, id) SELECT 'site-b/cars', id FROM ("+sourceUsers+limit+") AS s"); err != nil {
		return errors.Join(err, tx.Rollback())
	}

	// Guard: which users each side holds, by the engine's own hash, as this
	// transaction sees them; where they differ, they are looked at more closely.
	expected, err := sqlsegment.Users{Dialect: d, Query: sourceUsers}.Summarize(ctx, tx)
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	_, err = guard.Commit(ctx, segment.Run{ // in place of return tx.Commit()
		ID: run, Job: segment.Copy(target, source),
		Expected: expected,
		Stored: func(ctx context.Context) (validate.Summary, error) {
			return sqlsegment.Users{Dialect: d, Query: targetUsers}.Summarize(ctx, tx)
		},
		Staging: ledger.Staging(tx), // the size is recorded with the data, or not at all
	})
	return err
}

func main() {
	dsn := flag.String("dsn", "", "of a PostgreSQL; none: an embedded SQLite")
	broken := flag.Bool("break", false, "stop copying at 10,000 users")
	flag.Parse()
	if err := run(context.Background(), *dsn, *broken, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
