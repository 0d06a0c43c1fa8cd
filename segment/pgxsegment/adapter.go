package pgxsegment

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/segmentguard/segmentguard/segment/sqlsegment"
)

// A Queryer is a *pgxpool.Pool, a *pgx.Conn or a pgx.Tx. In a transaction Users sees
// what the transaction has written.
type Queryer interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

var (
	_ Queryer = (*pgxpool.Pool)(nil)
	_ Queryer = (*pgx.Conn)(nil)
	_ Queryer = pgx.Tx(nil)
)

// over returns q as package sqlsegment reads; nil for what was never opened.
func over(q Queryer) sqlsegment.Conn {
	switch q := q.(type) {
	case nil:
		return nil
	case *pgxpool.Pool:
		if q == nil {
			return nil
		}
		return pool{q}
	case *pgx.Conn:
		if q == nil {
			return nil
		}
		return conn{queryer{q, q}}
	case *pgxpool.Conn:
		if q == nil {
			return nil
		}
		return conn{queryer{q, q.Conn()}}
	case pgx.Tx:
		return tx{queryer{q, nil}, q}
	}
	return queryer{q, nil}
}

// A queryer is what queries run on. Outside of transactions it knows its connection.
type queryer struct {
	on   Queryer
	conn *pgx.Conn
}

func (q queryer) Query(ctx context.Context, query string, args ...any) (sqlsegment.Rows, error) {
	if err := checkMode(ctx, q.conn); err != nil {
		return nil, err
	}
	found, err := q.on.Query(ctx, query, args...)
	if err != nil {
		return nil, explain(err)
	}
	return &rows{Rows: found}, nil
}

func (q queryer) Exec(ctx context.Context, statement string, args ...any) (int64, error) {
	if err := checkMode(ctx, q.conn); err != nil {
		return 0, err
	}
	tag, err := q.on.Exec(ctx, statement, args...)
	return tag.RowsAffected(), explain(err)
}

type pool struct{ *pgxpool.Pool }

func (p pool) Query(ctx context.Context, query string, args ...any) (sqlsegment.Rows, error) {
	c, err := p.Pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	found, err := queryer{c, c.Conn()}.Query(ctx, query, args...)
	if err != nil {
		c.Release()
		return nil, err
	}
	return pooled{found, c}, nil
}

func (p pool) Exec(ctx context.Context, statement string, args ...any) (affected int64, err error) {
	err = p.Acquire(ctx, func(b sqlsegment.Beginner) error {
		affected, err = b.Exec(ctx, statement, args...)
		return err
	})
	return affected, err
}

func (p pool) Begin(ctx context.Context) (sqlsegment.Tx, error) {
	t, err := p.BeginTx(ctx, readCommitted)
	return tx{queryer{t, nil}, t}, err
}

func (p pool) Acquire(ctx context.Context, do func(sqlsegment.Beginner) error) error {
	return p.AcquireFunc(ctx, func(c *pgxpool.Conn) error { return do(conn{queryer{c, c.Conn()}}) })
}

func (p pool) InUse() (used, limit int) {
	s := p.Stat()
	return int(s.AcquiredConns()), int(s.MaxConns())
}

type conn struct{ queryer }

func (c conn) Begin(ctx context.Context) (sqlsegment.Tx, error) {
	t, err := c.conn.BeginTx(ctx, readCommitted)
	return tx{queryer{t, nil}, t}, err
}

var readCommitted = pgx.TxOptions{IsoLevel: pgx.ReadCommitted}

type tx struct {
	queryer
	tx pgx.Tx
}

func (t tx) Commit(ctx context.Context) error { return t.tx.Commit(ctx) }

// Rollback takes a transaction for ended whose connection is closed, as pgx closes one
// when a context ends in the middle of a statement.
func (t tx) Rollback(ctx context.Context) error {
	err := t.tx.Rollback(ctx)
	switch c := t.tx.Conn(); {
	case errors.Is(err, pgx.ErrTxClosed), err != nil && c != nil && c.IsClosed():
		return nil
	}
	return err
}

// pooled are rows that give back their connection.
type pooled struct {
	sqlsegment.Rows
	conn *pgxpool.Conn
}

func (p pooled) Close() error {
	defer p.conn.Release()
	return p.Rows.Close()
}

type rows struct {
	pgx.Rows
	into []any
}

// Columns returns none where the query failed, of which pgx may tell as late as after
// Next: then Err has it.
func (r *rows) Columns() ([]sqlsegment.Column, error) {
	fields := r.FieldDescriptions()
	columns := make([]sqlsegment.Column, len(fields))
	for i, f := range fields {
		columns[i] = sqlsegment.Column{Name: f.Name, Type: strconv.FormatUint(uint64(f.DataTypeOID), 10)}
		if known, ok := r.Conn().TypeMap().TypeForOID(f.DataTypeOID); ok {
			columns[i].Type = strings.ToUpper(known.Name)
		}
	}
	return columns, nil
}

// Scan reads into the driver's own memory where database/sql would.
func (r *rows) Scan(dest ...any) error {
	r.into = append(r.into[:0], dest...)
	for i, d := range r.into {
		if raw, ok := d.(*sql.RawBytes); ok {
			r.into[i] = (*pgtype.DriverBytes)(raw)
		}
	}
	err := r.Rows.Scan(r.into...)
	if wrong, ok := errors.AsType[pgx.ScanArgError](err); ok {
		return &sqlsegment.ScanError{Column: wrong.ColumnIndex, Err: err}
	}
	return err
}

func (r *rows) Err() error { return explain(r.Rows.Err()) }

func (r *rows) Close() error {
	r.Rows.Close()
	return nil // Err has it
}
