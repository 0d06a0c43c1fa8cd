// Package sqlsegment measures and remembers segments in SQL databases, over
// database/sql: [Users] tells how many users a query yields, and which; [History]
// is the segment.Ledger that guards and monitors judge by. It imports no driver;
// bring the one you use. Users speaks to PostgreSQL 12 or later, MySQL 8, MariaDB
// 10.2 or later, SQLite 3.24 or later and ClickHouse; History to PostgreSQL,
// MySQL, MariaDB, and SQLite 3.35 or later.
//
// # Which method to take
//
// Users measures where the users are: only numbers leave the database, but for
// [Stream].
//
//   - [Native], where both sides are in one engine, as in most copies: in
//     PostgreSQL about twice a plain count. It hashes text, integers and UUIDs
//     there each in their own way: where a copy makes text of UUIDs, say id::text
//     in the query of the source;
//   - [Portable], for two engines, or an engine and a Digest by validate.MD5 in
//     Go: the same bit for bit everywhere;
//   - [Stream], for a Digest that is to explain a difference by itself, and on
//     SQLite always;
//   - [Count], where how many users there are is all that is asked.
//
// What each takes, as a multiple of Count's time in the same engine and run, for a
// million UUIDs as text on two cores, server and client on one machine
// (BenchmarkMethods of segment/internal/enginetest; PostgreSQL 15, MariaDB 10.11,
// SQLite by modernc.org/sqlite, ClickHouse 18.16). Over a network Stream takes what
// it takes to send the ids.
//
//	             Count   Native   Portable   Stream
//	PostgreSQL       1        2         45       13
//	MariaDB          1       13         13        3   Native is Portable: Stream is the fast one
//	SQLite           1       13         13       13   all three stream
//	ClickHouse       1        3         10       13
//
// Where two fingerprints differ, the check reads both sides again, as streams,
// and says which users are missing or repeated; a run that passes never pays for
// that. Positions in the source are those in which the database yields its rows,
// so an ORDER BY makes them mean something (on MySQL and MariaDB, which drop it
// otherwise, with a LIMIT beside it: LIMIT 18446744073709551615 is none).
//
// An id has one form everywhere: text as UTF-8, unchanged, with case and spaces;
// integers in decimal; UUIDs in lower case with hyphens; bytes in lower-case
// hexadecimal. What the database itself changes stays changed: char(n) drops
// spaces at the end and FixedString(n) NULs, SQLite's NUMERIC affinity makes 7 of
// 007. Other types are an error. NULL ids are, too.
//
// # How this grows
//
// Sums add up, so each partition, parallel worker or shard computes its own and
// sends a few numbers.
//
//   - Over a Distributed table of ClickHouse each shard scans and hashes its own
//     users, at the same time as the others, and sends two counts and, by Portable,
//     four sums of 64 bits (by Native two): 600 bytes a shard with all that the
//     protocol adds (measured), however many users it holds. For that the query
//     must select a plain column, as in SELECT id FROM members WHERE segment = ?;
//     AS and joins are fine. With a function of the column, DISTINCT, GROUP BY,
//     ORDER BY, LIMIT, UNION or WITH, the answer is the same, but each shard sends
//     its ids, and the server that was asked does the rest. Where a lost shard or a
//     limit of the server would make it an answer for a part of the users, Users
//     has ClickHouse fail instead.
//   - PostgreSQL counts and sums in parallel workers and partitions for Count and
//     Native, each of which hands the leader one row; the fence that keeps Portable
//     from hashing four times keeps it in one process. It plans by a table's
//     statistics: what was never analysed may pass for small, and be read by one
//     process, too.
//   - Of MySQL, MariaDB and SQLite one thread reads all.
//   - Stream, and a look at what differs, move every id to this process, one by one:
//     its memory is bounded as a Digest's is.
//
// # The ledger
//
// A History makes and uses four tables in the schema that unqualified names mean:
// segmentguard_segments holds one row a segment, with its last sizes packed, so
// that a sweep over a million segments reads a million rows and not thirty
// million; segmentguard_attempts is the log, which it only adds to until
// [History.Prune] drops what is old; segmentguard_alerts holds what is wrong now
// and what people were told; segmentguard_words, what humans said of sizes. What
// is packed and the log are written in one transaction.
//
// The sequences of a History read in pages: no statement is open while you have
// an item, so that you may write to it meanwhile, also on one connection.
//
// # Transactions
//
// [History.Tx] records in a job's own transaction, so that the record goes live
// with the data or not at all:
//
//	_, err = guard.Commit(ctx, segment.Run{ // in place of return tx.Commit()
//		ID: run, Job: segment.Copy(target, source),
//		Expected: expected,
//		Stored: func(ctx context.Context) (validate.Summary, error) {
//			return sqlsegment.Users{Dialect: d, Query: targetUsers}.Summarize(ctx, tx)
//		},
//		Commit:  func(context.Context) error { return tx.Commit() },
//		Discard: func(context.Context) error { return tx.Rollback() },
//		History: history.Tx(tx), // the size goes live with the data, or not at all
//	})
//
// The whole program is examples/segmentcopy/indatabase. From its first Record to
// its end such a transaction holds back other runs of the same segment, on SQLite
// everybody who writes. In PostgreSQL under REPEATABLE READ or SERIALIZABLE a
// record may fail with a serialization error (40001): the run is unverified, and
// may be tried again. On MySQL and MariaDB begin such a transaction with
// sql.LevelReadCommitted: by default they also lock the gaps beside what is read,
// and jobs of different segments may deadlock (1213), which is unverified, too.
// Transactions of a History's own are begun again by themselves.
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
