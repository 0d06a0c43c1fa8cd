package sqlsegment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// A Queryer is a *sql.DB, a *sql.Tx or a *sql.Conn. In a transaction Users sees
// what the transaction has written.
type Queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

var (
	_ Queryer = (*sql.DB)(nil)
	_ Queryer = (*sql.Tx)(nil)
	_ Queryer = (*sql.Conn)(nil)
)

// over returns q as this package reads; nil for what was never opened, or begun.
func over(q Queryer) reader {
	switch q := q.(type) {
	case nil:
		return nil
	case *sql.DB:
		if q != nil {
			return sqlDB{q}
		}
	case *sql.Tx:
		if q != nil {
			return sqlTx{q}
		}
	case *sql.Conn:
		if q != nil {
			return sqlConn{q}
		}
	default:
		return sqlQueryer{q}
	}
	return nil
}

// overTx returns the transaction; nil for one that was never begun.
func overTx(tx *sql.Tx) Tx {
	if tx == nil {
		return nil
	}
	return sqlTx{tx}
}

type sqlQueryer struct{ Queryer }

func (q sqlQueryer) Query(ctx context.Context, query string, args ...any) (Rows, error) {
	return sqlQuery(ctx, q.Queryer, query, args)
}

type sqlDB struct{ *sql.DB }

func (db sqlDB) Query(ctx context.Context, query string, args ...any) (Rows, error) {
	return sqlQuery(ctx, db.DB, query, args)
}

func (db sqlDB) Exec(ctx context.Context, statement string, args ...any) (int64, error) {
	return sqlExec(ctx, db.DB, statement, args)
}

func (db sqlDB) Begin(ctx context.Context) (Tx, error) { return sqlBegin(ctx, db.DB) }

func (db sqlDB) Acquire(ctx context.Context, do func(Beginner) error) (err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer func() { err = also(err, "giving back the connection", conn.Close()) }()
	return do(sqlConn{conn})
}

func (db sqlDB) InUse() (used, limit int) {
	stats := db.Stats()
	return stats.InUse, stats.MaxOpenConnections
}

type sqlConn struct{ *sql.Conn }

func (c sqlConn) Query(ctx context.Context, query string, args ...any) (Rows, error) {
	return sqlQuery(ctx, c.Conn, query, args)
}

func (c sqlConn) Exec(ctx context.Context, statement string, args ...any) (int64, error) {
	return sqlExec(ctx, c.Conn, statement, args)
}

func (c sqlConn) Begin(ctx context.Context) (Tx, error) { return sqlBegin(ctx, c.Conn) }

type sqlTx struct{ *sql.Tx }

func (tx sqlTx) Query(ctx context.Context, query string, args ...any) (Rows, error) {
	return sqlQuery(ctx, tx.Tx, query, args)
}

func (tx sqlTx) Exec(ctx context.Context, statement string, args ...any) (int64, error) {
	return sqlExec(ctx, tx.Tx, statement, args)
}

func (tx sqlTx) Commit(context.Context) error { return tx.Tx.Commit() }

func (tx sqlTx) Rollback(context.Context) error {
	err := tx.Tx.Rollback()
	if errors.Is(err, sql.ErrTxDone) { // done by the context's end
		return nil
	}
	return err
}

func sqlBegin(ctx context.Context, b interface {
	BeginTx(ctx context.Context, opts *sql.TxOptions) (*sql.Tx, error)
}) (Tx, error) {
	tx, err := b.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return nil, err
	}
	return sqlTx{tx}, nil
}

func sqlExec(ctx context.Context, e interface {
	ExecContext(ctx context.Context, statement string, args ...any) (sql.Result, error)
}, statement string, args []any) (affected int64, err error) {
	result, err := e.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, err
	}
	if affected, err = result.RowsAffected(); err != nil {
		return -1, nil //nolint:nilerr // some drivers tell for some statements only
	}
	return affected, nil
}

func sqlQuery(ctx context.Context, q Queryer, query string, args []any) (Rows, error) {
	rows, err := q.QueryContext(ctx, query, args...) //nolint:rowserrcheck // by who reads them
	if err != nil {
		return nil, err
	}
	return sqlRows{rows}, nil
}

type sqlRows struct{ *sql.Rows }

func (r sqlRows) Columns() ([]Column, error) {
	types, err := r.ColumnTypes()
	columns := make([]Column, len(types))
	for i, t := range types {
		columns[i] = Column{t.Name(), t.DatabaseTypeName()}
	}
	return columns, err
}

// Scan knows an error about one value by its text: database/sql has no type for it.
func (r sqlRows) Scan(dest ...any) error {
	err := r.Rows.Scan(dest...)
	if err == nil {
		return nil
	}
	wrong := &ScanError{Err: err}
	if n, _ := fmt.Sscanf(err.Error(), "sql: Scan error on column index %d", &wrong.Column); n == 1 {
		return wrong
	}
	return err
}
