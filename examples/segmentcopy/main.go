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
	from  = segment.ID{SiteGroup: "site-a", Name: "cars"}
	to    = segment.ID{SiteGroup: "site-b", Name: "cars"}
	users = sqlsegment.Users{Dialect: sqlsegment.SQLite, Query: "SELECT id FROM cars"}
)

// copyCars copies cars from source into target, as rows reads them.
func copyCars(ctx context.Context, guard *segment.Guard, runID string, source, target *sql.DB, rows reader) error {
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
	var read validate.Digest // Guard: knows which users came, Tee lets them through
	for user, err := range validate.Tee(&read, rows(ctx, source)) {
		if err == nil {
			_, err = tx.ExecContext(ctx, "INSERT INTO cars VALUES (?)", user)
		}
		if err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}

	_, err = guard.Commit(ctx, segment.Run{ // in place of return tx.Commit()
		ID: runID, Job: segment.Copy(to, from),
		Expected: expected,
		Read:     read.Summary(),
		Stored:   func(ctx context.Context) (validate.Summary, error) { return users.Summarize(ctx, tx) },
		Staging:  sqlsegment.Staging(tx),
	})
	return err
}

func main() {
	broken := flag.Bool("break", false, "stop reading at 10,000 users")
	flag.Parse()
	if err := run(context.Background(), *broken, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
