package sqlsegment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/validate"
)

// A History is a segment.Ledger in a database. It is safe for concurrent use,
// and for many processes on many machines. The zero History is not ready,
// NewHistory is.
type Ledger struct {
	db      *sql.DB
	dialect Dialect
}

// NewHistory returns the history in db. Its tables are made by Migrate.
func NewLedger(db *sql.DB, d Dialect) (*Ledger, error) {
	if err := d.historyProblem("NewHistory: dialect"); err != nil {
		return nil, fmt.Errorf("sqlsegment: %w", err)
	}
	if db == nil {
		return nil, fmt.Errorf("sqlsegment: %w", badInput("NewHistory: db", "nil", "an open *sql.DB"))
	}
	return &Ledger{db: db, dialect: d}, nil
}

// Sizes implements segment.History.
func (h *Ledger) Sizes(ctx context.Context, id segment.ID, n int) (found []validate.Size, err error) {
	err = h.connected(ctx, func(s session) error {
		found, err = sizes(ctx, s, h.dialect, id, n)
		return err
	})
	return found, reading(id, err)
}

// Record implements segment.History.
func (h *Ledger) Record(ctx context.Context, r segment.Record) error {
	return recording(&r, h.transact(ctx, func(s session) error { return record(ctx, s, h.dialect, &r) }))
}

// Tx is the history in a job's own transaction: what it records is there for
// others when tx is committed, and gone if it is rolled back.
func (h *Ledger) Tx(tx *sql.Tx) segment.History { return &txHistory{tx, h.dialect} }

type txHistory struct {
	tx      *sql.Tx
	dialect Dialect
}

func (h *txHistory) Sizes(ctx context.Context, id segment.ID, n int) ([]validate.Size, error) {
	if err := unopened("Tx: tx", h.tx); err != nil {
		return nil, reading(id, err)
	}
	found, err := sizes(ctx, h.tx, h.dialect, id, n)
	return found, reading(id, err)
}

func (h *txHistory) Record(ctx context.Context, r segment.Record) error {
	if err := unopened("Tx: tx", h.tx); err != nil {
		return recording(&r, err)
	}
	return recording(&r, record(ctx, h.tx, h.dialect, &r))
}

func reading(id segment.ID, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sqlsegment: reading the sizes of %s: %w", id, err)
}

func recording(r *segment.Record, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sqlsegment: recording attempt %d of run %s of %s: %w", r.Attempt, r.RunID, r.Segment, err)
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

// connected does something on the pool, or on a connection that waits.
func (h *Ledger) connected(ctx context.Context, do func(session) error) error {
	if h.dialect != SQLite {
		return do(h.db)
	}
	return patiently(ctx, h.db, func(conn *sql.Conn) error { return do(conn) })
}

// transact does something in a transaction of its own.
func (h *Ledger) transact(ctx context.Context, do func(session) error) error {
	if h.dialect != SQLite {
		return again(ctx, func() error { return transaction(ctx, h.db, h.dialect.write(), do) })
	}
	return patiently(ctx, h.db, func(conn *sql.Conn) error {
		return transaction(ctx, conn, h.dialect.write(), do)
	})
}

// transaction also ends one in which a function of the caller's panicked: it would
// hold its locks, and its connection, as long as the process lives.
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
