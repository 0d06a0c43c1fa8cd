package sqlsegment

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/validate"
)

// A Method is how Users measures.
type Method string

// The methods.
const (
	// Count counts the users, exactly, inside the database. It tells how many
	// there are, not which.
	Count Method = "count"
	// Stream reads the users into a validate.Digest: which they are, and, where
	// they differ from those of another digest, how. Text is taken as it is,
	// numbers in decimal.
	Stream Method = "stream"
)

// Users are what a query yields: the users that a source holds, or those that
// a job has stored.
type Users struct {
	Dialect Dialect
	Query   string // one SELECT of one column, the ids; none may be NULL
	Args    []any  // for the query's placeholders, in the database's own style
	Method  Method // Count or Stream; "", a fingerprint by the engine's own hash, is not there yet and an error
}

// A Queryer is a *sql.DB, a *sql.Tx or a *sql.Conn. In a transaction Users sees
// what the transaction has written.
type Queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

var (
	_ Queryer = (*sql.DB)(nil)
	_ Queryer = (*sql.Tx)(nil)
	_ Queryer = (*sql.Conn)(nil)
)

// Summarize measures the users. With any error the summary is not measured.
//
// The answer says that it is complete (AsOf) up to the time before the query
// was sent, by this process's clock, where the database saw the data as of the
// query's start: on a *sql.DB, and in PostgreSQL in a transaction that reads
// committed. It says nothing of the kind on a standby, which lags behind, or
// in a transaction that may look at an older state. Who knows that it does not,
// as it wrote all that counts itself, adds AsOf. Replicas that PostgreSQL does
// not know as such (logical ones, a proxy's) are not told apart: measure on the
// primary.
func (u Users) Summarize(ctx context.Context, q Queryer) (validate.Summary, error) {
	summary, err := u.summarize(ctx, q)
	if err != nil {
		return validate.Summary{}, fmt.Errorf("sqlsegment: users: %w", err)
	}
	return summary, nil
}

func (u *Users) summarize(ctx context.Context, q Queryer) (validate.Summary, error) {
	if err := u.problem(); err != nil {
		return validate.Summary{}, err
	}
	if err := u.oneColumn(ctx, q); err != nil {
		return validate.Summary{}, err
	}
	if u.Method == Stream {
		return u.stream(ctx, q)
	}
	return u.count(ctx, q)
}

func (u *Users) problem() error {
	if err := u.Dialect.problem("Users.Dialect"); err != nil {
		return err
	}
	query := strings.TrimSpace(u.Query)
	switch {
	case u.Method != Count && u.Method != Stream:
		return badInput("Users.Method", string(u.Method), `"count" or "stream", the only ones so far`)
	case query == "":
		return badInput("Users.Query", "", "a SELECT of one column, the ids")
	case strings.HasSuffix(query, ";"):
		return badInput("Users.Query", `ended by ";"`, "one SELECT without it, as it becomes part of another")
	}
	return nil
}

// oneColumn asks for no rows at all, only for the columns: PostgreSQL would
// count the first of several without a word.
func (u *Users) oneColumn(ctx context.Context, q Queryer) (err error) {
	rows, err := q.QueryContext(ctx, "SELECT * FROM (\n"+u.Query+"\n) AS t LIMIT 0", u.Args...)
	if err != nil {
		return fmt.Errorf("preparing the query: %w", err)
	}
	defer func() { err = also(err, "closing", rows.Close()) }()
	columns, err := rows.Columns()
	if err != nil {
		return fmt.Errorf("preparing the query: %w", err)
	}
	if len(columns) != 1 {
		return badInput("Users.Query", fmt.Sprintf("one of %d columns (%s)", len(columns), strings.Join(columns, ", ")), "one column, the ids")
	}
	rows.Next() // some drivers tell of an error as late as here
	return rows.Err()
}

// count keeps the line break before the parenthesis: the query may end in a
// comment.
func (u *Users) count(ctx context.Context, q Queryer) (validate.Summary, error) {
	var rows, ids int64
	var fresh bool
	at := time.Now().UTC()
	err := q.QueryRowContext(ctx, "WITH t(id) AS (\n"+u.Query+"\n) SELECT count(*), count(id), "+u.Dialect.fresh(q)+" FROM t", u.Args...).Scan(&rows, &ids, &fresh)
	switch {
	case err != nil:
		return validate.Summary{}, fmt.Errorf("counting: %w", err)
	case ids != rows:
		return validate.Summary{}, nullIDs(rows-ids, rows)
	case !fresh:
		return validate.Count(rows), nil
	}
	return validate.Count(rows).AsOf(at), nil
}

// stream digests the users as they are read.
func (u *Users) stream(ctx context.Context, q Queryer) (validate.Summary, error) {
	var fresh bool
	at := time.Now().UTC()
	if err := q.QueryRowContext(ctx, "SELECT "+u.Dialect.fresh(q)).Scan(&fresh); err != nil {
		return validate.Summary{}, fmt.Errorf("streaming: %w", err)
	}
	rows, err := q.QueryContext(ctx, u.Query, u.Args...)
	if err != nil {
		return validate.Summary{}, fmt.Errorf("streaming: %w", err)
	}
	var d validate.Digest
	nulls, err := digest(&d, rows)
	switch {
	case err != nil:
		return validate.Summary{}, fmt.Errorf("streaming, after %d users: %w", d.Users(), err)
	case nulls > 0:
		return validate.Summary{}, nullIDs(nulls, d.Users()+nulls)
	case !fresh:
		return d.Summary(), nil
	}
	return d.Summary().AsOf(at), nil
}

func digest(d *validate.Digest, rows *sql.Rows) (nulls int64, err error) {
	defer func() { err = also(err, "closing", rows.Close()) }()
	var id sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&id); err != nil {
			return nulls, err
		}
		if id == nil {
			nulls++
			continue
		}
		d.Add(id)
	}
	return nulls, rows.Err()
}

func nullIDs(nulls, rows int64) error {
	return fmt.Errorf("%d of %d ids are NULL, want none: a user without an id cannot be told from another", nulls, rows)
}

// fresh is the SQL that tells whether a query sees all that was acknowledged
// before it began.
func (d Dialect) fresh(q Queryer) string {
	_, alone := q.(*sql.DB) // each query its own transaction
	switch {
	case d == PostgreSQL && alone:
		return "NOT pg_is_in_recovery()"
	case d == PostgreSQL:
		return "NOT pg_is_in_recovery() AND current_setting('transaction_isolation') = 'read committed'"
	case alone:
		return "true"
	}
	return "false"
}
