// Command repair uploads to a segment only the users that it lacks, and takes out
// those that its source does not have: a repair in place of a rerun, guarded like
// any run. With -break it uploads only the first of them.
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

// repairCars makes target hold the users of source, and says how many it uploaded
// and removed. limit is the bug.
func repairCars(ctx context.Context, guard *segment.Guard, runID string, source, target *sql.DB, limit int) (uploaded, removed int, err error) {
	diff, err := compare(ctx, source, target)
	if err != nil {
		return 0, 0, err
	}
	expected, err := users.Summarize(ctx, source)
	if err != nil {
		return 0, 0, err
	}
	tx, err := target.BeginTx(ctx, nil)
	if err != nil {
		return 0, 0, err
	}

	// The second look at the source: all its users flow past, few are written. What
	// the digests cannot tell is written again, which changes nothing if it is there.
	var read validate.Digest
	for user, err := range validate.Tee(&read, rows(ctx, source)) {
		if times, known := diff.Of(user); err == nil && uploaded < limit && (times > 0 || !known) {
			_, err = tx.ExecContext(ctx, "INSERT OR IGNORE INTO cars VALUES (?)", user)
			uploaded++
		}
		if err != nil {
			return 0, 0, errors.Join(err, tx.Rollback())
		}
	}
	if removed, err = removeForeign(ctx, tx, diff); err != nil {
		return 0, 0, errors.Join(err, tx.Rollback())
	}

	_, err = guard.Commit(ctx, segment.Run{
		ID: runID, Job: segment.Copy(to, from),
		Expected: expected,
		Read:     read.Summary(),
		Stored:   func(ctx context.Context) (validate.Summary, error) { return users.Summarize(ctx, tx) },
		Staging:  sqlsegment.Staging(tx),
	})
	return uploaded, removed, err
}

// compare digests both sides. Nothing but two digests is kept of them.
func compare(ctx context.Context, source, target *sql.DB) (*validate.Difference, error) {
	var there, here validate.Digest
	for digest, db := range map[*validate.Digest]*sql.DB{&there: source, &here: target} {
		for _, err := range validate.Tee(digest, rows(ctx, db)) {
			if err != nil {
				return nil, err
			}
		}
	}
	return validate.Diff(there.Summary(), here.Summary())
}

// removeForeign takes out the users that the source does not have.
func removeForeign(ctx context.Context, tx *sql.Tx, diff *validate.Difference) (removed int, err error) {
	var foreign []string
	for user, err := range rows(ctx, tx) {
		if err != nil {
			return 0, err
		}
		if times, _ := diff.Of(user); times < 0 {
			foreign = append(foreign, user)
		}
	}
	for _, user := range foreign {
		if _, err := tx.ExecContext(ctx, "DELETE FROM cars WHERE id = ?", user); err != nil {
			return 0, err
		}
	}
	return len(foreign), nil
}

func main() {
	broken := flag.Bool("break", false, "upload only the first missing user")
	flag.Parse()
	if err := run(context.Background(), *broken, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
