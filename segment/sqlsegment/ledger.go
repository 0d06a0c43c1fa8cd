package sqlsegment

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/internal/retry"
)

// A Ledger is a segment.Ledger in a database. It is safe for concurrent use, and
// for many processes on many machines. Use NewLedger to make one; the zero Ledger is
// not ready.
type Ledger struct {
	pool    Pool
	dialect ledgerDialect
	checked atomic.Bool // the schema is of this program's version
}

var _ segment.Ledger = (*Ledger)(nil)

// NewLedger returns the ledger in db. Migrate makes its tables.
func NewLedger(db *sql.DB, d Dialect) (*Ledger, error) {
	if db == nil {
		_, err := d.ledger("NewLedger: dialect")
		return nil, wrap("", cmp.Or(err, badInput("NewLedger: db", "nil", "an open *sql.DB")))
	}
	return NewLedgerOver(sqlDB{db}, d)
}

// NewLedgerOver returns the ledger in the database of a pool that is none of
// database/sql's.
func NewLedgerOver(pool Pool, d Dialect) (*Ledger, error) {
	dialect, err := d.ledger("NewLedger: dialect")
	if err == nil && pool == nil {
		err = badInput("NewLedgerOver: pool", "nil", "an open pool")
	}
	if err != nil {
		return nil, fmt.Errorf("sqlsegment: %w", err)
	}
	return &Ledger{pool: pool, dialect: dialect}, nil
}

// State implements segment.Ledger.
func (l *Ledger) State(ctx context.Context, key segment.Key) (found segment.SegmentState, err error) {
	err = l.read(ctx, func(s Conn) error {
		found, err = readState(ctx, s, l.dialect, key)
		return err
	})
	return found, wrap("reading what is known of "+key.String(), l.waited(ctx, nil, err))
}

// Record implements segment.Ledger.
func (l *Ledger) Record(ctx context.Context, r segment.Record) error {
	return recording(&r, l.waited(ctx, nil, l.write(ctx, func(s Conn) error { return record(ctx, s, l.dialect, r) })))
}

// Change implements segment.Ledger. Where change changes nothing, as after most
// jobs, nothing is locked or written.
func (l *Ledger) Change(ctx context.Context, keys []segment.Key, change func(*segment.SegmentState) error) error {
	keys = inOrder(keys)
	if len(keys) == 0 {
		return nil
	}
	const doing = "changing segments"
	var before []row
	err := l.read(ctx, func(s Conn) (err error) {
		before, err = readRows(ctx, s, l.dialect, keys)
		return err
	})
	if err != nil {
		return wrap(doing, l.waited(ctx, nil, err))
	}
	var refused error // by the caller, who gets it as it is
	changing := func(s *segment.SegmentState) error {
		refused = change(s)
		return refused
	}
	changed, err := changeRows(before, changing)
	if err == nil && len(changed) > 0 {
		err = l.write(ctx, func(s Conn) error { return saveIfSame(ctx, s, l.dialect, keys, before, changed, changing) })
	}
	if refused != nil {
		return refused
	}
	return wrap(doing, l.waited(ctx, nil, err))
}

// saveIfSame keeps what was made of rows that were read without a lock, if they are
// the same with it. If others were in the way, they are changed again.
func saveIfSame(ctx context.Context, s Conn, d ledgerDialect, keys []segment.Key, before []row, changed []changedRow, change func(*segment.SegmentState) error) error {
	locked, err := lockRows(ctx, s, d, keys)
	if err != nil {
		return err
	}
	if !sameRows(locked, before) {
		if changed, err = changeRows(locked, change); err != nil {
			return err
		}
	}
	return saveRows(ctx, s, d, locked, changed)
}

// Tx returns the ledger in the transaction of a job: what it records is there for
// others when tx is committed, and gone if it is rolled back.
func (l *Ledger) Tx(tx *sql.Tx) segment.TxLedger { return l.TxOver(overTx(tx)) }

// TxOver does as Tx does, over a transaction that is none of database/sql's.
func (l *Ledger) TxOver(tx Tx) segment.TxLedger { return &txRecorder{tx, l} }

type txRecorder struct {
	tx     Tx
	ledger *Ledger
}

func (r *txRecorder) ready(ctx context.Context) error {
	if r.tx == nil {
		return badInput("Tx: tx", "nil", "an open transaction")
	}
	return r.ledger.ready(ctx, r.tx)
}

// State implements segment.Recorder.
func (r *txRecorder) State(ctx context.Context, key segment.Key) (found segment.SegmentState, err error) {
	if err = r.ready(ctx); err == nil {
		found, err = readState(ctx, r.tx, r.ledger.dialect, key)
	}
	return found, r.failed("reading what is known of "+key.String(), err)
}

// Record implements segment.Recorder.
func (r *txRecorder) Record(ctx context.Context, rec segment.Record) error {
	err := r.ready(ctx)
	if err == nil {
		err = record(ctx, r.tx, r.ledger.dialect, rec)
	}
	if err != nil && r.ledger.dialect.overtaken(err) {
		err = fmt.Errorf("%w: %w", segment.ErrOvertaken, err)
	}
	return recording(&rec, err)
}

func recording(r *segment.Record, err error) error {
	if errors.Is(err, segment.ErrSuperseded) || errors.Is(err, segment.ErrOvertaken) { // which say the same
		return fmt.Errorf("sqlsegment: %w", err)
	}
	return wrap(fmt.Sprintf("recording attempt %d of run %s of %s", r.Attempt, r.RunID, r.Key()), err)
}

// read calls do on the pool, or on a connection that waits for the locks of others.
func (l *Ledger) read(ctx context.Context, do func(Conn) error) error {
	return l.dialect.connect(ctx, l.pool, func(b Beginner) error {
		if err := l.ready(ctx, b); err != nil {
			return err
		}
		return do(b)
	})
}

// write calls do in a transaction, and again where only a lock, or the order of
// transactions, was against it. Nothing of it was kept then.
func (l *Ledger) write(ctx context.Context, do func(Conn) error) error {
	again := retry.Policy{Tries: 5, Wait: 10 * time.Millisecond, Retryable: l.dialect.conflict}
	return again.Do(ctx, func() error {
		return l.dialect.connect(ctx, l.pool, func(b Beginner) error {
			if err := l.ready(ctx, b); err != nil {
				return err
			}
			return l.dialect.write(ctx, b, do)
		})
	})
}
