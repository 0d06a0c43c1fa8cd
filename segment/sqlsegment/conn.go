package sqlsegment

import "context"

// Users, listings and a Ledger reach a database by these interfaces, which the functions
// whose names end in Over take. Those of database/sql are made here. Errors are the
// driver's own, or wrap them: by these the dialects know whether a transaction may begin
// anew, what it waited for, and what is missing.

// A Conn runs queries and statements: it is a pool, a connection or a transaction.
type Conn interface {
	// Query returns the rows of a query. Its error may come as late as from Rows.
	Query(ctx context.Context, query string, args ...any) (Rows, error)
	// Exec runs a statement, and returns how many rows it affected; -1: it is not known.
	Exec(ctx context.Context, statement string, args ...any) (affected int64, err error)
}

// Rows are what a query yields. Rows that broke off report it by Err: they never pass
// for fewer rows.
type Rows interface {
	// Columns returns the columns. Of a query that failed it may return none, as long as
	// Err returns the error after Next.
	Columns() ([]Column, error)
	// Next reports whether there is another row, and moves to it.
	Next() bool
	// Scan reads the row as that of sql.Rows does, also into NULLs, sql.Scanner and
	// sql.RawBytes. It returns a *ScanError for a value that does not fit.
	Scan(dest ...any) error
	Err() error
	Close() error
}

// A Column is one of Rows.
type Column struct {
	Name string
	Type string // as sql.ColumnType.DatabaseTypeName has it: in PostgreSQL "INT8", "TEXT", "UUID"
}

// A ScanError is returned by Rows.Scan for a value that does not fit where it was to
// go: what is stored is damaged, but the row and the connection are not.
type ScanError struct {
	Column int // from 0
	Err    error
}

func (e *ScanError) Error() string { return e.Err.Error() }

func (e *ScanError) Unwrap() error { return e.Err }

// A Tx is a transaction. Once it has ended, by whatever, Rollback returns nil, and its other
// methods an error that is sql.ErrTxDone.
type Tx interface {
	Conn
	Commit(ctx context.Context) error
	Rollback(ctx context.Context) error
}

// A Beginner begins transactions: it is a pool or a connection.
type Beginner interface {
	Conn
	// Begin begins a transaction at READ COMMITTED, whatever the default is.
	Begin(ctx context.Context) (Tx, error)
}

// A Pool hands out connections. Each query of its own is a transaction of its own.
type Pool interface {
	Beginner
	// Acquire calls do with one connection, and gives it back.
	Acquire(ctx context.Context, do func(Beginner) error) error
	// InUse returns how many connections are in use, and how many there can be; 0: any
	// number.
	InUse() (used, limit int)
}

// exhausted reports whether all connections of a pool are in use.
func exhausted(p Pool) (used, limit int, all bool) {
	used, limit = p.InUse()
	return used, limit, limit > 0 && used >= limit
}
