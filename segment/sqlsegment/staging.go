package sqlsegment

import (
	"context"
	"database/sql"

	"github.com/segmentguard/segmentguard/segment"
)

// Staging returns how the output of a job in tx goes live: tx is committed, or
// rolled back. A transaction that ended with its context is rolled back already.
func Staging(tx *sql.Tx) segment.Staging { return staging(overTx(tx)) }

func staging(tx Tx) segment.Staging {
	return segment.Staging{
		Commit:  func(ctx context.Context) error { return tx.Commit(ctx) },
		Discard: func(ctx context.Context) error { return tx.Rollback(ctx) },
	}
}

// Staging returns how the output of a job in tx, a transaction in the ledger's
// database, goes live: the size is recorded with the data, or not at all.
func (l *Ledger) Staging(tx *sql.Tx) segment.Staging { return l.StagingOver(overTx(tx)) }

// StagingOver does as Staging does, over a transaction that is none of database/sql's.
func (l *Ledger) StagingOver(tx Tx) segment.Staging {
	s := staging(tx)
	r := &txRecorder{tx, l}
	s.Tx = r
	s.Commit = func(ctx context.Context) error { return r.failed("committing", tx.Commit(ctx)) }
	return s
}
