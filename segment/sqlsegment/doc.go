// Package sqlsegment measures and remembers segments in SQL databases, over
// database/sql: Users counts what a query yields, History keeps the sizes and
// attempts that a segment.Guard judges by. It imports no driver; bring the one
// you use. It speaks to PostgreSQL 12 or later and to SQLite 3.24 or later.
//
// A History makes and uses two tables, segmentguard_runs and
// segmentguard_attempts, in the schema that unqualified names mean. It never
// updates or deletes what it knows of an attempt.
//
// # Transactions
//
// [History.Tx] records in a job's own transaction, so that the record goes live
// with the data or not at all. From its first Record to its end such a
// transaction holds back other attempts of the same run, on SQLite everybody
// who writes. In PostgreSQL under REPEATABLE READ or SERIALIZABLE a record may
// fail with a serialization error (40001): the run is unverified, and may be
// tried again.
//
// # SQLite and many processes
//
// A History waits up to 30 seconds for the locks of others, whatever the DSN
// says, so a transaction that writes must be over by then. What you do on
// connections of your own is up to their settings:
//
//   - busy_timeout, or your statements fail at once while others write;
//   - immediate transactions for jobs (_txlock=immediate): one that reads first
//     and writes later cannot wait, and fails if another wrote in between;
//   - WAL where readers must not wait for writers. A History is safe with and
//     without it.
//
// With modernc.org/sqlite that is
//
//	file:audience.db?_txlock=immediate&_pragma=busy_timeout(30000)&_pragma=journal_mode(WAL)
//
// and the order matters: changing the journal mode may have to wait, too.
//
// # Errors
//
// A bad setting is a *validate.InputError, returned before the database is
// asked. What would go live after a newer attempt, or twice, is
// segment.ErrSuperseded. All else wraps the driver's error. A History that
// returned an error has kept nothing, unless it was the answer to its commit
// that got lost.
//
// # Telemetry
//
// None of its own: the guard's spans enclose these calls, and a driver wrapped
// by otelsql or the like adds one for each statement.
package sqlsegment
