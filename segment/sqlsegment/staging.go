package sqlsegment

import (
	"context"
	"database/sql"
	"errors"

	"github.com/segmentguard/segmentguard/segment"
)

// Staging returns how the output of a job in tx goes live: tx is committed, or
// rolled back. A transaction that ended with its context is rolled back already.
func Staging(tx *sql.Tx) segment.Staging {
	return segment.Staging{
		Commit: func(context.Context) error { return tx.Commit() },
		Discard: func(context.Context) error {
			err := tx.Rollback()
			if errors.Is(err, sql.ErrTxDone) {
				return nil
			}
			return err
		},
	}
}

// Staging returns how the output of a job in tx, a transaction in the ledger's
// database, goes live: the size is recorded with the data, or not at all.
func (l *Ledger) Staging(tx *sql.Tx) segment.Staging {
	s := Staging(tx)
	r := &txRecorder{tx, l}
	s.Tx = r
	s.Commit = func(context.Context) error { return r.failed("committing", tx.Commit()) }
	return s
}
