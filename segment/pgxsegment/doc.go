// Package pgxsegment measures users in PostgreSQL and stores the ledger there, over pgx
// v5 itself and not over database/sql. What it does, and how, is package sqlsegment's:
// methods, closer looks, tables, rights and guarantees are documented there.
//
// [Users] and [Listing] take a *pgxpool.Pool, a *pgx.Conn or a pgx.Tx; a [Ledger] is on
// a *pgxpool.Pool, and in a job's pgx.Tx by [Ledger.Staging] and [Ledger.Tx]. It is a
// module of its own, so that nobody else's program has pgx in it:
//
//	go get github.com/segmentguard/segmentguard/segment/pgxsegment
//
// Its tables are those of sqlsegment: one program may use the ledger by pgx, another by
// database/sql.
//
// # Which mode
//
// It works in each of pgx's modes (pgx.QueryExecMode, default_query_exec_mode in a
// connection string), and returns the same in each. Straight to PostgreSQL the default,
// cache_statement, is right.
//
// # Behind PgBouncer
//
// In transaction mode a pooler gives each statement outside of a transaction whatever
// connection is free. Take
//
//   - cache_describe, exec or simple_protocol. The conformance suites run in each of them
//     through PgBouncer 1.18.
//   - not cache_statement, unless the pooler knows prepared statements (PgBouncer from
//     1.21 on, with max_prepared_statements): a statement that was prepared on one
//     connection is not there on the next. The error (26000 or 42P05) then says which
//     modes to take.
//   - not describe_exec: its statements have no name, and one may be somebody else's by
//     the time it is executed. That would be no error, and an answer to another question,
//     so that it is refused before anything is asked: a pooler is known by telling its
//     clients of another process than the server's. Within a transaction it is taken.
//
// Nothing here depends on a session: the lock of a migration is a transaction's.
//
// # Pools
//
// A guard waits for connections no longer than GuardConfig.Timeout. Where a job's
// transactions take all of a pool that they share with the ledger, it says so ("4 of 4
// connections are in use; give the ledger a pool of its own"), as segment.ErrBusy.
// Jobs that record in their own transactions ask for no second connection while they
// hold one, if they call Guard.Begin before they take it, or Guard.Do.
//
// # Transactions
//
// By [Ledger.Staging] the record is in the job's transaction, and goes live with the data
// or not at all. Give it the outermost one: what pgx.Tx.Begin returns within another is a
// savepoint. A guard that has released it returns nil and has committed nothing; if the
// transaction around it is rolled back, or goes back to an earlier savepoint, data and
// record go together, and the log does not know of the run.
//
// When a context ends in the middle of a statement, pgx closes the connection. The
// server rolls the transaction back by itself, so that to discard it is no error.
//
// # Costs
//
// A stream (sqlsegment.Stream) of a million ids takes half the processor time that it
// takes over database/sql with pgx's own driver, 0.50 × in all modes, and allocates
// nothing per id; with a server on the same two cores 0.65 × (cache_statement) and
// 0.72 × (exec) of the whole time (BenchmarkStream of
// segment/internal/enginetest/pgxtest, medians of nine rounds in turns). What is measured
// in the database takes as long either way.
//
// # Errors
//
// They are those of package sqlsegment, around pgx's: errors.AsType[*pgconn.PgError] finds
// the server's. A nil pool and a mode that cannot work are a *validate.InputError.
//
// # Telemetry
//
// None of its own: a tracer of pgx's (pgx.ConnConfig.Tracer, such as otelpgx) sees each
// statement.
package pgxsegment
