package sqlsegment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A reader is where queries run: a session, or a Queryer.
type reader interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// A session is where statements run: a pool, a connection or a transaction.
type session interface {
	reader
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// A beginner begins transactions: a pool or a connection.
type beginner interface {
	session
	BeginTx(ctx context.Context, opts *sql.TxOptions) (*sql.Tx, error)
}

// A scanner reads the columns of a row.
type scanner func(dest ...any) error

// each calls do for every row of a query. An error in the middle is one: rows
// that did not come are never taken for rows that are not there.
func each(ctx context.Context, s reader, query string, args []any, do func(scanner) error) (err error) {
	rows, err := s.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = also(err, "closing", rows.Close()) }()
	for rows.Next() {
		if err := do(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// one reads the one row of a query. More are an error: the first might be the
// answer for a part.
func one(ctx context.Context, s reader, query string, args []any, dest ...any) error {
	rows := 0
	err := each(ctx, s, query, args, func(scan scanner) error {
		rows++
		return scan(dest...)
	})
	if err == nil && rows != 1 {
		err = fmt.Errorf("%d rows where one was asked for: %w", rows, sql.ErrNoRows)
	}
	return err
}

// transaction calls do in a transaction. It also ends one in which a function of
// the caller's panicked: it would hold its locks, and its connection, as long as the
// process lives.
func transaction(ctx context.Context, b beginner, opts *sql.TxOptions, do func(session) error) (err error) {
	tx, err := b.BeginTx(ctx, opts)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	committing := false
	defer func() {
		if committing {
			return
		}
		if failed := tx.Rollback(); !errors.Is(failed, sql.ErrTxDone) { // done by the context's end
			err = also(err, "rolling back", failed)
		}
	}()
	if err := do(tx); err != nil {
		return err
	}
	committing = true
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

// list returns n times an item, with commas.
func list(item string, n int) string {
	return strings.TrimSuffix(strings.Repeat(item+", ", n), ", ")
}

// text returns the id as the database keeps it.
func text(d ledgerDialect, id segment.ID) (string, error) {
	text, err := id.MarshalText()
	if err != nil {
		return "", err
	}
	return string(text), d.storableKey("segment id", string(text))
}

// also adds what went wrong on the way out to what went wrong before.
func also(err error, doing string, next error) error {
	switch {
	case next == nil:
		return err
	case err == nil:
		return fmt.Errorf("%s: %w", doing, next)
	}
	return fmt.Errorf("%w; %s: %w", err, doing, next)
}

// wrap says what failed. Bad input says so itself.
func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, bad := errors.AsType[*validate.InputError](err); bad {
		return fmt.Errorf("sqlsegment: %w", err)
	}
	return fmt.Errorf("sqlsegment: %s: %w", doing, err)
}
