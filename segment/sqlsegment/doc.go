// Package sqlsegment measures users in SQL databases and stores the ledger in one.
//
// [Users] counts the users that a query yields, and fingerprints them. [Ledger] is
// the segment.Ledger by which guards and monitors judge. The package works over
// database/sql and imports no driver; bring the one you use. What has an interface of its
// own is adapted by [Conn], [Rows], [Tx] and [Pool], which the functions whose names end
// in Over take. Users works with
// PostgreSQL 12 or later, MySQL 8, MariaDB 10.2 or later, SQLite 3.24 or later and
// ClickHouse; Ledger with PostgreSQL, MySQL, MariaDB, and SQLite 3.35 or later.
//
// # Which method to take
//
// Users measures where the users are: only numbers leave the database, but for
// [Stream].
//
//   - [Native] where both sides are in one engine, as in most copies. In
//     PostgreSQL it takes about twice as long as a plain count, and hashes text,
//     integers and UUIDs each in their own way: where a copy turns UUIDs into
//     text, write id::text in the query of the source.
//   - [Portable] for two engines, or an engine and a Digest by validate.MD5 in
//     Go: it gives the same bits everywhere.
//   - [Stream] for a Digest that explains a difference by itself. On SQLite every
//     fingerprint is a stream.
//   - [Count] where only the number of users matters.
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
// # Where users differ
//
// Where two fingerprints differ, the check looks closer; a run that passes never pays
// for that. In PostgreSQL and ClickHouse it looks in this order, and no further than it
// needs to:
//
//  1. The database sums the users of each side into a difference table of 3 × 1,024
//     cells. Sums subtract, so that only users are left whom the two sides do not hold
//     equally often, and some 2,500 of them can be read from the sums.
//  2. If that does not suffice, or the numbers of users differ by more than 2,000, it
//     makes one of 3 × 8,192 cells, for up to some 19,000.
//  3. Both sides are asked for the users with the keys that were read, and how often
//     each is there. That must be as often as the table says: so the numbers that a
//     tolerance is judged by, of missing users and of those that should not be there,
//     are those of real users, and exact.
//  4. If more users differ, both sides are read as streams into digests, which tell
//     bounds, and likely causes. So are distinct users (validate.Policy.Distinct), and
//     everything on MySQL, MariaDB and SQLite.
//  5. Where a store keeps a user once, digests leave it open whether a user is missing
//     who came more often than it is stored. The stored side is then read once more, by
//     whatever method, and only those users are kept.
//
// A table does not depend on the order of the users. So it tells which of them are
// missing, and which were stored more than once, but not that the missing ones came
// one after the other: where that matters more than the bytes, take Stream. There,
// positions in the source are those in which the database yields its rows, and an
// ORDER BY makes them mean something (on MySQL and MariaDB, which drop it otherwise,
// with a LIMIT beside it: LIMIT 18446744073709551615 is none).
//
// [Users.Differing] returns the ids themselves, for a repair that uploads those that are
// missing and no others. By Portable the two sides may be in two engines.
//
// It saves bytes, and over a slow network time; near the database a stream may be the
// faster one. For 1,000 users missing of a million, and of ten, each id a text of 32 or
// 36 bytes, measured once on a busy machine of two cores (BenchmarkDiffering of
// segment/internal/enginetest; time as a multiple of Count of both sides, bytes both
// ways):
//
//	                         Users.Differing        Stream of both
//	                          time     bytes        time           bytes
//	PostgreSQL, Native, 10M   11.6   800,000         9.9   1,100,000,000
//	PostgreSQL, Native        10.7   790,000         6.1     110,000,000
//	PostgreSQL, Portable      32.5   790,000         5.2     110,000,000
//	ClickHouse, Native        18     690,000        26        68,000,000
//	ClickHouse, Portable      37     700,000        30        68,000,000
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
//   - Stream, and a look that streams, move every id to this process, one by one: its
//     memory is bounded as a Digest's is.
//   - A difference table has one size for any number of users. PostgreSQL makes it in one
//     process. Each shard of ClickHouse makes its own where it fingerprints its own; the
//     ids that differ are looked for by the server that was asked.
//
// # The ledger
//
// [Ledger.Migrate] makes these tables in the schema that unqualified names mean:
//
//   - segmentguard_segments has one row a segment and store: its state (the last sizes, the
//     last record and what is live), packed, so that a sweep over a million
//     segments reads a million rows and not thirty million; its alert, as JSON and in
//     columns for queries of your own; in columns its last size, what is live and
//     its last run; and until when the store of a run that was submitted is to have
//     answered.
//   - segmentguard_incidents has one row an incident, as JSON and in columns: begun,
//     ended, severity, level and its cause. Its members are counted from their own
//     rows.
//   - segmentguard_mutes has the mutes.
//   - segmentguard_sweeps has the numbers of each sweep, segmentguard_jobs the jobs that
//     a monitor knows, and segmentguard_reads which of them reads a segment.
//   - segmentguard_plans has the plans of reruns, by whom and why each was made, and
//     segmentguard_steps one row a step: its plan and number, the segment and kind of its
//     job, what the plan says of it as JSON, and how far it is in columns: state, waits
//     (for so many steps that are not done), run, attempt, worker, started, ended, error
//     and blocker (the number of the step that failed). [Ledger.Prune] deletes old plans
//     that were done.
//   - segmentguard_log has one row for each state of an attempt that was recorded,
//     for what became of each alert, and for each decision. It grows until
//     [Ledger.Prune] deletes old entries. It has indexes by segment, by run, by build,
//     by time, and by action for all that is no record.
//   - segmentguard_commits has the commit row of each segment, by which its runs go
//     live one after another (segment.CommitRow): who is about to, since when, and
//     how often one did. A job's transaction that holds one for long keeps neither
//     sweeps nor people from the segment.
//   - segmentguard_numbers has the last number that a run was given.
//   - segmentguard_ledger has the ledger's name, by which an alerter of several
//     ledgers knows whose an alert is. A copy of a database that alerts, too, needs
//     another one.
//   - segmentguard_schema has the versions of the schema.
//
// The view segmentguard_open_alerts has a row for each segment that is affected now:
// segment, site_group, store, severity, kind and level (the worst since it became
// affected), since (UTC), users (at stake), incident, job_kind, build, pending (the
// alerter is to be told of something) and text. What to look at first is
//
//	SELECT segment, severity, kind, level, users, text
//	FROM segmentguard_open_alerts
//	WHERE severity = 'page' AND level <> 'protected'
//	ORDER BY users DESC
//	LIMIT 20
//
// The view segmentguard_sizes has a row for each segment of which anything is known:
// segment, store, users, read_users and at (UTC) of the last size that others are judged
// by, live_users (what is live after the last run), and run, state and recorded (UTC) of
// the last run. What is not known is NULL. All that was recorded earlier is in
// segmentguard_log.
//
// A change of a segment and its entries in the log are one transaction.
//
// The sequences of a Ledger read in pages: no statement is open while you have
// an item, so that you may write to the ledger meanwhile, also on one connection.
//
// # Versions of the schema
//
// Call [Ledger.Migrate] when a program starts, or once with a user who may define
// tables. It brings the tables of every earlier version of this library to this
// one, with all that they hold, and waits for other processes that migrate the same
// database. Then programs with an earlier version fail: stop them first.
//
// A Ledger that finds another version than its own returns an error that says
// whether to call Migrate or to use a newer version of this library, and touches
// nothing. [Ledger.Check] also looks for missing columns and rights. For all but
// Migrate a user needs
//
//	GRANT SELECT ON segmentguard_schema TO guard;
//	GRANT SELECT, INSERT, UPDATE, DELETE ON segmentguard_segments TO guard;
//	GRANT SELECT, INSERT, DELETE ON segmentguard_log TO guard;
//	GRANT SELECT, INSERT, UPDATE ON segmentguard_commits TO guard;
//	GRANT SELECT, UPDATE ON segmentguard_numbers TO guard;
//	GRANT SELECT, INSERT, UPDATE ON segmentguard_incidents TO guard;
//	GRANT SELECT, INSERT, DELETE ON segmentguard_mutes TO guard;
//	GRANT SELECT, UPDATE ON segmentguard_ledger TO guard;
//	GRANT SELECT, INSERT, UPDATE ON segmentguard_sweeps TO guard;
//	GRANT SELECT, INSERT, DELETE ON segmentguard_jobs TO guard;
//	GRANT SELECT, INSERT, DELETE ON segmentguard_reads TO guard;
//	GRANT SELECT, INSERT, UPDATE, DELETE ON segmentguard_plans TO guard;
//	GRANT SELECT, INSERT, UPDATE, DELETE ON segmentguard_steps TO guard;
//
// # Transactions
//
// [Ledger.Staging] commits, rolls back and records in a job's own transaction, so
// that the record goes live with the data or not at all ([Staging] does so without
// recording):
//
//	_, err = guard.Commit(ctx, segment.Run{ // in place of return tx.Commit()
//		ID: run, Job: segment.Copy(target, source),
//		Expected: expected,
//		Stored: func(ctx context.Context) (validate.Summary, error) {
//			return sqlsegment.Users{Dialect: d, Query: targetUsers}.Summarize(ctx, tx)
//		},
//		Staging: ledger.Staging(tx), // the size is recorded with the data, or not at all
//	})
//
// The whole program is examples/segmentcopy/indatabase. From when the guard counts
// what is stored to its end such a transaction holds back other runs of the same
// segment, and from its record on, right before its commit, all who write about the
// segment; on SQLite, from its first statement on, everybody who writes. In PostgreSQL under REPEATABLE READ or SERIALIZABLE a
// record may fail with a serialization error (40001): the run is unverified, and
// may be tried again. On MySQL and MariaDB begin such a transaction with
// sql.LevelReadCommitted: by default they also lock the gaps beside what is read.
// Then jobs of different segments may deadlock (1213), which is unverified, too, and
// one that stands still between its record and its commit holds back all of them.
// A Ledger begins its own transactions again by itself.
//
// # SQLite and many processes
//
// A Ledger waits up to 30 seconds for the locks of others, whatever the DSN
// says, so a transaction that writes must be over by then. What you do on
// connections of your own is up to their settings:
//
//   - busy_timeout, or your statements fail at once while others write;
//   - immediate transactions for jobs (_txlock=immediate): one that reads first
//     and writes later cannot wait, and fails if another wrote in between;
//   - WAL where readers must not wait for writers. A Ledger is safe with and
//     without it.
//
// With modernc.org/sqlite that is
//
//	file:audience.db?_txlock=immediate&_pragma=busy_timeout(30000)&_pragma=journal_mode(WAL)
//
// and the order matters: changing the journal mode may have to wait, too.
//
// # Waiting, and what is damaged
//
// Whoever waits in vain for a segment's commit row is told who holds it and since
// when: in PostgreSQL the process (of other users' only for members of
// pg_read_all_stats), in MySQL and MariaDB the oldest transaction that holds locks (to
// users with the right PROCESS). A pool whose connections are all in use, and a SQLite
// file into which the job itself writes, are named with what to do. These errors are
// segment.ErrBusy; missing tables and rights are segment.ErrNotReady.
//
// A row that cannot be read is reported by name (segment.Damage) among the others.
// segment.Repair drops what is damaged of a segment, [Ledger.Drop] an entry of the log,
// or a row of which nobody knows whose it is.
//
// # Errors
//
// A bad setting is a *validate.InputError, returned before the database is
// asked. What would go live after a newer attempt, or twice, is
// segment.ErrSuperseded. All else wraps the driver's error. A Ledger that
// returned an error has kept nothing, unless it was the answer to its commit
// that got lost.
//
// # Telemetry
//
// None of its own: the guard's spans enclose these calls, and a driver wrapped
// by otelsql or the like adds one for each statement.
package sqlsegment
