package sqlsegment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A reader is where queries run: a Conn, or what has queries alone.
type reader interface {
	Query(ctx context.Context, query string, args ...any) (Rows, error)
}

// A scanner reads the columns of a row.
type scanner func(dest ...any) error

// each calls do for every row of a query. An error in the middle is one: rows
// that did not come are never taken for rows that are not there.
func each(ctx context.Context, s reader, query string, args []any, do func(scanner) error) (err error) {
	rows, err := s.Query(ctx, query, args...)
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

// rollbackFor bounds the end of a transaction that failed, whatever of its context is left.
const rollbackFor = 10 * time.Second

// transaction calls do in a transaction. It also ends one in which a function of
// the caller's panicked: it would hold its locks, and its connection, as long as the
// process lives.
func transaction(ctx context.Context, b Beginner, do func(Conn) error) (err error) {
	tx, err := b.Begin(ctx)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	committing := false
	defer func() {
		if committing {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackFor)
		defer cancel()
		err = also(err, "rolling back", tx.Rollback(ctx))
	}()
	if err := do(tx); err != nil {
		return err
	}
	committing = true
	if err := tx.Commit(ctx); err != nil {
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
