package sqlsegment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/segmentguard/segmentguard/segment"
)

// segmentguard_commits holds the commit row of each segment (segment.CommitRow), in
// a table of its own: a transaction that holds one for long keeps neither sweeps nor
// people from a segment. Whoever needs both locks the commit row first.
// segmentguard_numbers holds the last number of a run, in its one row.

// commitColumns are all columns of segmentguard_commits but its key.
var commitColumns = []string{"run", "attempt", "since", "until", "token", "passed", "generation", "number"}

// commitValues returns commitColumns.
func commitValues(d ledgerDialect, c *segment.CommitRow) ([]any, error) {
	return []any{c.RunID, c.Attempt, d.time(c.Since), d.time(c.Until), c.Token, c.Passed, c.Generation, c.Number}, d.storableKey("CommitRow.RunID", c.RunID)
}

// readGeneration returns the segment's generation as a query sees it that waits for
// nobody.
func readGeneration(ctx context.Context, s Conn, d ledgerDialect, key []any) (generation int64, err error) {
	query := "SELECT coalesce(max(generation), 0) FROM segmentguard_commits WHERE store = ? AND segment = ?"
	damage, err := readCommit(ctx, s, d.bind(query), key, []string{"generation"}, &generation)
	if damage != nil { // which the lock of the row is to tell
		return 0, nil //nolint:nilerr // both are never there
	}
	return generation, err
}

// readCommit reads columns of a commit row, and returns what of it cannot be read.
func readCommit(ctx context.Context, s Conn, query string, key []any, columns []string, dest ...any) (*segment.Damage, error) {
	err := one(ctx, s, query, key, dest...)
	wrong, ok := errors.AsType[*ScanError](err)
	if !ok {
		return nil, err
	}
	if wrong.Column < len(columns) {
		columns = columns[wrong.Column : wrong.Column+1]
	}
	return commitDamage(key, err.Error(), columns...), nil
}

// impossible returns what of a commit row can be read and cannot be.
func impossible(key []any, c *segment.CommitRow) *segment.Damage {
	for column, n := range map[string]int64{"attempt": int64(c.Attempt), "token": c.Token, "passed": c.Passed, "generation": c.Generation, "number": c.Number} {
		if n < 0 {
			return commitDamage(key, fmt.Sprintf("it is %d", n), column)
		}
	}
	return nil
}

func commitDamage(key []any, what string, columns ...string) *segment.Damage {
	return &segment.Damage{Table: "segmentguard_commits", Store: fmt.Sprint(key[0]), Row: fmt.Sprint(key[1]), Columns: columns, What: what}
}

// lockCommit locks a segment's commit row, and returns it.
func lockCommit(ctx context.Context, s Conn, d ledgerDialect, key []any) (c segment.CommitRow, err error) {
	fresh, err := commitValues(d, &c)
	if err != nil {
		return c, err
	}
	fresh = append(slices.Clone(key), fresh...)
	insert := "INTO segmentguard_commits (" + keyColumns + ", " + strings.Join(commitColumns, ", ") + ") VALUES (" + list("?", len(fresh)) + ")"
	if err := d.lockCommit(ctx, s, key, insert, fresh); err != nil {
		return c, err
	}
	query := "SELECT " + strings.Join(commitColumns, ", ") + " FROM segmentguard_commits WHERE store = ? AND segment = ?"
	var since, until, now instant
	c.Damaged, err = readCommit(ctx, s, d.bind(d.latest(query)), key, commitColumns, &c.RunID, &c.Attempt, &since, &until, &c.Token, &c.Passed, &c.Generation, &c.Number)
	if err != nil {
		return c, err
	}
	if c.Damaged == nil {
		c.Damaged = impossible(key, &c)
	}
	err = one(ctx, s, "SELECT "+d.now(), nil, &now)
	c.Since, c.Until, c.Now, c.Seen = since.Time, until.Time, now.Time, c.Generation
	return c, err
}

// saveCommit keeps what was made of a commit row, if anything was.
func saveCommit(ctx context.Context, s Conn, d ledgerDialect, key []any, before, after *segment.CommitRow) error {
	was, err := commitValues(d, before)
	if err != nil || after.Damaged != nil {
		return err
	}
	values, err := commitValues(d, after)
	if err != nil || before.Damaged == nil && slices.Equal(was, values) {
		return err
	}
	update := "UPDATE segmentguard_commits SET " + strings.Join(commitColumns, " = ?, ") + " = ? WHERE store = ? AND segment = ?"
	_, err = s.Exec(ctx, d.bind(update), append(values, key...)...)
	return err
}

// changeCommit locks a segment's commit row and keeps what change makes of it. seen
// is the generation of before.
func changeCommit(ctx context.Context, s Conn, d ledgerDialect, key []any, seen int64, change func(*segment.CommitRow) error) error {
	before, err := lockCommit(ctx, s, d, key)
	if err != nil {
		return err
	}
	before.Seen = seen
	after := before
	if err := change(&after); err != nil {
		return err
	}
	return saveCommit(ctx, s, d, key, &before, &after)
}

// Lock implements segment.Ledger.
func (l *Ledger) Lock(ctx context.Context, of segment.Key, change func(*segment.CommitRow) error) error {
	var refused error // by the caller, who gets it as it is
	changing := func(c *segment.CommitRow) error {
		refused = change(c)
		return refused
	}
	key, err := keyValues(l.dialect, of)
	var seen int64
	if err == nil {
		err = l.read(ctx, func(s Conn) (err error) {
			seen, err = readGeneration(ctx, s, l.dialect, key)
			return err
		})
	}
	if err == nil {
		err = l.write(ctx, func(s Conn) error { return changeCommit(ctx, s, l.dialect, key, seen, changing) })
	}
	if refused != nil {
		return refused
	}
	return wrap("locking the commit row of "+of.String(), l.waited(ctx, key, err))
}

// Next implements segment.Ledger.
func (l *Ledger) Next(ctx context.Context, of segment.Key) (start segment.Start, err error) {
	key, err := keyValues(l.dialect, of)
	if err == nil {
		err = l.write(ctx, func(s Conn) error {
			if _, err := s.Exec(ctx, "UPDATE segmentguard_numbers SET number = number + 1"); err != nil {
				return err
			}
			return one(ctx, s, "SELECT number FROM segmentguard_numbers", nil, &start.Number)
		})
	}
	if err == nil {
		err = l.read(ctx, func(s Conn) (err error) {
			start.Generation, err = readGeneration(ctx, s, l.dialect, key)
			return err
		})
	}
	return start, wrap("numbering a run of "+of.String(), l.waited(ctx, nil, err))
}

// Lock implements segment.Recorder. Where the transaction reads the state of before
// another run went live, it says so instead of locking: REPEATABLE READ of MySQL and
// MariaDB shows what was there when the transaction first read, whatever is locked.
func (r *txRecorder) Lock(ctx context.Context, of segment.Key, change func(*segment.CommitRow) error) error {
	d := r.ledger.dialect
	key, err := keyValues(d, of)
	if err == nil {
		err = r.ready(ctx)
	}
	if err == nil {
		err = d.beforeLock(ctx, r.tx)
	}
	var seen int64
	if err == nil {
		seen, err = readGeneration(ctx, r.tx, d, key)
	}
	if err != nil {
		return r.failed("locking the commit row of "+of.String(), err)
	}
	var refused error
	err = changeCommit(ctx, r.tx, d, key, seen, func(c *segment.CommitRow) error {
		sees, err := readGeneration(ctx, r.tx, d, key)
		switch {
		case err != nil:
			return err
		case c.Damaged == nil && sees != c.Generation:
			return fmt.Errorf("%s: the transaction sees what was there before another run went live: %w", of, segment.ErrOvertaken)
		}
		refused = change(c)
		return refused
	})
	if refused != nil {
		return refused
	}
	return r.failed("locking the commit row of "+of.String(), r.ledger.waited(ctx, key, err))
}

// Exclusive reports whether nobody else can write into the ledger before the
// transaction ends: SQLite has one writer, and a pool may have no connection left.
func (r *txRecorder) Exclusive() bool {
	_, _, all := exhausted(r.ledger.pool)
	return all || r.ledger.dialect.oneWriter()
}

// failed says what failed in the job's transaction: if that met another one, all of
// it begins anew.
func (r *txRecorder) failed(doing string, err error) error {
	if err != nil && r.ledger.dialect.overtaken(err) {
		err = fmt.Errorf("%w: %w", segment.ErrOvertaken, err)
	}
	if err != nil && r.ledger.dialect.unfit(err) {
		err = notReady{err}
	}
	var state interface{ SQLState() string }
	switch {
	case errors.Is(err, sql.ErrTxDone):
		err = fmt.Errorf("%w: %w", segment.ErrTxEnded, err)
	case errors.As(err, &state) && state.SQLState() == "25P02": // PostgreSQL's in_failed_sql_transaction
		err = fmt.Errorf("an earlier statement of the job failed in its transaction, and the job went on: %w", err)
	}
	return wrap(doing, err)
}
