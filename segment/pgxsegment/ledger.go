package pgxsegment

import (
	"context"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/segmentguard/segmentguard/segment"
	"github.com/segmentguard/segmentguard/segment/sqlsegment"
	"github.com/segmentguard/segmentguard/validate"
)

// Users are those that a query yields, as sqlsegment.Users are.
type Users struct {
	Query  string            // one SELECT of one column, the ids: text, integers, UUIDs or bytes; none may be NULL
	Args   []any             // for $1, $2, …
	Method sqlsegment.Method // sqlsegment.Native where it is not set
}

func (u Users) over() sqlsegment.Users {
	return sqlsegment.Users{Dialect: sqlsegment.PostgreSQL, Query: u.Query, Args: u.Args, Method: u.Method}
}

// Summarize measures the users as sqlsegment.Users.Summarize does.
func (u Users) Summarize(ctx context.Context, q Queryer) (validate.Summary, error) {
	return u.over().SummarizeOver(ctx, over(q))
}

// Differing returns the ids of the users that differ, as sqlsegment.Users.Differing does.
func (u Users) Differing(ctx context.Context, q Queryer, stored Users, at Queryer) ([]sqlsegment.Differing, error) {
	return u.over().DifferingOver(ctx, over(q), stored.over(), over(at))
}

// A Listing is a query of all segments of a store with their sizes, as a
// sqlsegment.Listing is.
type Listing struct {
	Query string // one SELECT of site group, name and number of users, or of the segment.ID's text and the number
	Args  []any  // for $1, $2, …
}

// Sizes yields the size of each segment, as sqlsegment.Listing.Sizes does.
func (l Listing) Sizes(ctx context.Context, q Queryer) iter.Seq2[segment.CurrentSize, error] {
	return sqlsegment.Listing{Dialect: sqlsegment.PostgreSQL, Query: l.Query, Args: l.Args}.SizesOver(ctx, over(q))
}

// A Ledger is a segment.Ledger in PostgreSQL: a sqlsegment.Ledger, with all its methods,
// in transactions of pgx. Use NewLedger to make one; the zero Ledger is not ready.
type Ledger struct{ *sqlsegment.Ledger }

var _ segment.Ledger = (*Ledger)(nil)

// NewLedger returns the ledger in the pool's database. Migrate makes its tables.
func NewLedger(p *pgxpool.Pool) (*Ledger, error) {
	if p == nil {
		return nil, fmt.Errorf("pgxsegment: %w", &validate.InputError{Field: "NewLedger: pool", Value: "nil", Want: "an open *pgxpool.Pool"})
	}
	l, err := sqlsegment.NewLedgerOver(pool{p}, sqlsegment.PostgreSQL)
	return &Ledger{l}, err
}

// Tx returns the ledger in the transaction of a job: what it records is there for
// others when t is committed, and gone if it is rolled back.
func (l *Ledger) Tx(t pgx.Tx) segment.TxLedger { return l.TxOver(overTx(t)) }

// Staging returns how the output of a job in t, a transaction in the ledger's database,
// goes live: the size is recorded with the data, or not at all.
func (l *Ledger) Staging(t pgx.Tx) segment.Staging { return l.StagingOver(overTx(t)) }

// Staging returns how the output of a job in t goes live: t is committed, or rolled back.
// A transaction that ended with its context is rolled back already.
func Staging(t pgx.Tx) segment.Staging {
	return segment.Staging{Commit: t.Commit, Discard: tx{tx: t}.Rollback}
}

func overTx(t pgx.Tx) sqlsegment.Tx {
	if t == nil {
		return nil
	}
	return tx{queryer{t, nil}, t}
}
