package pgxsegment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/segmentguard/segmentguard/validate"
)

// A pooler in transaction mode, such as PgBouncer, gives each statement outside of a
// transaction whatever connection to the server is free. A mode that prepares on one
// and executes on another finds no such statement; or, if the statement has no name,
// that of somebody else.

const behindPooler = "cache_describe, exec or simple_protocol (pgx.ConnConfig.DefaultQueryExecMode), which work behind a pooler such as PgBouncer in transaction mode"

// explain adds to an error of a prepared statement which modes need none.
func explain(err error) error {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && (e.Code == "26000" || e.Code == "42P05") { // it is not there, or already
		return fmt.Errorf("%w; want default_query_exec_mode %s", err, behindPooler)
	}
	if errors.Is(err, pgx.ErrTxClosed) {
		return fmt.Errorf("%w: %w", sql.ErrTxDone, err)
	}
	return err
}

// checkMode refuses mode describe_exec where a pooler stands in between: a statement
// without a name may be somebody else's by the time it is executed, and its answer
// would pass for ours. A pooler tells its clients of a process that is not the server's.
func checkMode(ctx context.Context, c *pgx.Conn) error {
	if c == nil || c.PgConn().TxStatus() != 'I' { // a transaction stays on its connection
		return nil
	}
	const known = "segmentguard: the mode is right"
	data := c.PgConn().CustomData()
	if data[known] != nil {
		return nil
	}
	if c.Config().DefaultQueryExecMode == pgx.QueryExecModeDescribeExec {
		var process uint32
		if err := c.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&process); err != nil {
			return err
		}
		if process != c.PgConn().PID() {
			return &validate.InputError{Field: "default_query_exec_mode", Value: "describe_exec behind a pooler", Want: behindPooler}
		}
	}
	data[known] = true
	return nil
}
